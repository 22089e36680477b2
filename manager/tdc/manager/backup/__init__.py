"""Backups: the store of one moment in one file, and a store made again of such a file.

In: a store, or a file that anybody may have touched. Out: a file that is whole, or none; a store as
it was, or nothing written. Promise: what is in a file is of one revision of etcd; nothing is
written of a file that was not read to its end and found whole first; the CA's key is in none in
the clear. The form: docs/store.md.
"""
