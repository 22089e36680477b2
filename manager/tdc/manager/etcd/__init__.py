"""An etcd v3 client that knows nothing of this product: channel, login, calls, watch, own member.

In: endpoints and keys. Out: typed values, and changes under a prefix that survive any outage.
Promise: every call has a deadline; a transaction is sent once; etcd's errors end here as ours.
"""
