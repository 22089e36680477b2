"""SMTP, once: framing, commands, replies, and the client's half of a dialogue.

In: bytes of a peer. Out: commands, replies and bodies, kept as the bytes that came.
Promise: what is not SMTP is refused here; nothing here knows of copies, spools or settings.
"""
