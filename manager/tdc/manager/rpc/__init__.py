"""gRPC: one adapter for each service, each RPC guarded by its row of the table of RPCs.

In: tdc.v1 requests. Out: operations of intent, the agents' stream and enrolment, status codes.
Promise: an adapter translates and decides nothing; an RPC without a row stops the start.
"""
