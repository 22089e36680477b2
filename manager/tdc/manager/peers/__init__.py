"""The other managers of this store: what their streams say, and orders for machines that are there.

In: who is announced in etcd. Out: presence of the whole fleet, answers of machines elsewhere.
Promise: bounded waits, one question at a time to each; who does not answer is named.
"""
