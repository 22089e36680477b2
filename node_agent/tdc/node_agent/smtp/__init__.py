"""SMTP, once: framing, commands, replies, the client's half of a dialogue, the server's half.

In: bytes of a peer. Out: commands, replies and bodies, kept as the bytes that came.
Promise: what is not SMTP is refused here; nothing here knows of copies, spools or settings.
The seam for what does something with the mail is `backend.Backend`.
"""
