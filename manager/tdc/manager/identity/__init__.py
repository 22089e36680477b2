"""Who is who: the CA, certificates, join tokens.

In: tokens and public keys. Out: certificates; the peer behind a connection.
Promise: identity comes from the certificate, never from a request.
"""
