"""The CA's rotation: one manager's step, followed by all, and who still has the old one.

In: what the store says of the CAs, and what managers say of machines. Out: the next step, written
down for all managers; what stands against it. Promise: no step takes away what anybody still needs,
unless it is forced; each is one transaction, in the audit log.
"""
