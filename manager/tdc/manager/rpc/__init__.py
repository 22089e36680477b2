"""gRPC: one adapter for each service, and the permission table before all of them.

In: tdc.v1 requests. Out: calls of intent, push and identity, errors as status codes.
Promise: an RPC without a row in the table does not start.
"""
