"""`tdc`, the operators' command line; speaks gRPC only.

In: arguments. Out: tables, JSON, YAML; exit codes 0 done, 1 refused, 2 usage, 3 no connection.
Promise: JSON is a contract; nothing changes before its blast radius was shown.
"""
