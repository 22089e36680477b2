"""The agent of one gateway: sync | ingest -> spool -> journal -> deliver.

In: wanted settings over gRPC, messages over SMTP. Out: originals to the next hop, journal
reports to the intake. Promise: no original is lost, altered or delayed; no accepted copy is
lost.
"""
