"""An etcd v3 client for asyncio: channel, login, calls, watch, and an embedded member.

It knows nothing of the product and imports nothing of it but the clock and the owner of tasks.
In: endpoints, keys, bytes. Out: typed values, and changes under a prefix that survive any outage.
Promise: every call has a deadline; a transaction is sent once; gRPC's errors end here and become
the few in `errors`.
"""
