"""The web console and the REST API: one table of routes, over `intent` in process.

In: HTTPS requests of operators, by a session's cookie or an API token. Out: pages, JSON, events.
Promise: no route without a permission; a caller who may not is refused before his request is read.
"""
