"""`tdc`, the operators' command line. Speaks gRPC; imports nothing of the manager.

In: arguments. Out: tables for people, JSON and YAML for programs, an exit code (`errors.ExitCode`).
Promises: JSON is a contract; nothing changes before its blast radius was shown.
"""
