"""Taking the copy: the SMTP content filter, pass-through.

In: SMTP from the MTA. Out: the original to the next hop, a copy to the spool, the next hop's reply.
Promise: we never own the original; 250 only after the next hop's 250 and a durable copy.
"""
