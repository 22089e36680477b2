"""An OpenID Connect provider, as its client: the wire, and what counts as a proof.

In: what the manager is registered as, and codes. Out: claims that the provider vouches for.
Promise: TLS but on loopback; waits and sizes are bounded; no key and no algorithm is taken from a
token. Nothing here knows users or roles.
"""
