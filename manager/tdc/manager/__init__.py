"""The manager: operator intent -> levels -> store -> view -> push.

In: edits from operators over gRPC. Out: effective settings to agents.
Promise: a commit is whole or not at all; what is in force is always the store's truth.
"""
