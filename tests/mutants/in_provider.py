"""Faults in logins at a provider: the proof, the handle, and who comes in."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/provider/proof.py",
        ("tests/manager/test_provider_proof.py",),
        (
            "a token's own word for its algorithm is taken",
            "    if algorithm not in ALGORITHMS or (offered and algorithm not in offered):\n",
            "    if algorithm not in (*ALGORITHMS, 'HS256', 'none'):\n",
        ),
        (
            "a key for another algorithm is taken",
            '        and key.get("alg", algorithm) == algorithm\n',
            "",
        ),
        (
            "of several keys any is taken",
            "    if len(fitting) != 1:",
            "    if not fitting:",
        ),
        (
            "a short key is taken",
            "_SHORTEST_RSA = 2_048",
            "_SHORTEST_RSA = 512",
        ),
        (
            "a token of another login is taken",
            'str(claims.get("nonce", "")).encode()',
            'str(claims.get("nonce", nonce)).encode()',
        ),
        (
            "a token for another client is taken",
            "    if party is not None and party != client_id:\n",
            "    if False:\n",
        ),
        (
            "a token for several clients is taken",
            "    if isinstance(audience, list) and len(audience) > 1 and party is None:\n",
            "    if False:\n",
        ),
        (
            "another access token is taken",
            "    if bound is not None and bound != half_hash(access_token, algorithm):\n",
            "    if bound and bound != half_hash(access_token, algorithm):\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/provider/client.py",
        ("tests/manager/test_odd_providers.py",),
        (
            "claims of somebody else are added",
            'if not isinstance(more, dict) or more.get("sub") != claims["sub"]:',
            "if not isinstance(more, dict):",
        ),
        (
            "forged tokens have keys read without end",
            "await self._keys.get(REFRESH)",
            "await self._keys.get(-1)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/provider/metadata.py",
        ("tests/manager/test_odd_providers.py",),
        (
            "a provider stands in for another",
            '    if table.get("issuer") != issuer:\n',
            '    if not table.get("issuer"):\n',
        ),
        (
            "a provider is asked without TLS",
            '    if parts.scheme == "http" and not (on_loopback and is_loopback(host)):\n',
            '    if parts.scheme == "http" and not on_loopback:\n',
        ),
    ),
    *planted_in(
        f"{MANAGER}/provider/http.py",
        ("tests/manager/test_odd_providers.py",),
        ("an answer has no end", "        if size > LONGEST:\n", "        if False:\n"),
    ),
    *planted_in(
        f"{MANAGER}/provider/kept.py",
        ("tests/manager/test_odd_providers.py",),
        (
            "each who waits asks a provider that is away",
            "                self._failed = (self._clock(), str(error))\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/provider_login.py",
        ("tests/manager/test_provider_login.py",),
        (
            "an answer of another login is taken",
            "        if not hmac.compare_digest(answer.state.encode(), begun.state.encode()):\n",
            "        if False:\n",
        ),
        (
            "an answer without its provider is taken",
            "        if answer.issuer != begun.issuer and (answer.issuer or about.names_itself):\n",
            "        if answer.issuer not in (begun.issuer, ''):\n",
        ),
        (
            "a handle is good after a later login",
            "            if stored.last_begun >= begun.begun:\n",
            "            if False:\n",
        ),
        (
            "a handle has no end",
            "        if wall() >= begun.ends:\n",
            "        if False:\n",
        ),
        (
            "failures cost nothing",
            "            self._throttle.tried(client.own.issuer, address, monotonic())\n",
            "",
        ),
    ),
    *planted_in(
        f"{MANAGER}/provider/asking.py",
        ("tests/manager/test_provider_login.py",),
        (
            "a login comes back anywhere",
            "    match = _REDIRECT.fullmatch(text)\n",
            "    match = _REDIRECT.match(text)\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/people/provider.py",
        ("tests/pure/test_provider_rules.py",),
        (
            "the provider speaks for a user who is there",
            "    if other:\n        raise NotAdmitted(\n",
            "    if False:\n        raise NotAdmitted(\n",
        ),
        (
            "somebody of the provider is the owner of a certificate",
            "others = {*users, *taken}",
            "others = {*users}",
        ),
        (
            "who was deleted comes in under another name",
            "        if user.identity == identity or identity in user.barred:\n",
            "        if user.identity == identity:\n",
        ),
        (
            "an empty reach is the whole installation",
            " or (at and not places.strip()):",
            ":",
        ),
        (
            "a role by groups stays without groups",
            "    if user is not None and not user.mapped:\n",
            "    if user is not None and (grant is None or not user.mapped):\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/intent/users.py",
        ("tests/manager/test_provider_users.py",),
        (
            "a password outlives the provider",
            "            if before.mapped or (",
            "            if (",
        ),
        (
            "a role by hand is undone by groups",
            "replace(before, role=role, reach=stored, mapped=False)",
            "replace(before, role=role, reach=stored)",
        ),
    ),
    *planted_in(
        f"{MANAGER}/cli/loopback.py",
        ("tests/cli/test_loopback.py",),
        (
            "anybody's answer ends the wait",
            "        if not self._state or not hmac.compare_digest(state, self._state.encode()):\n",
            "        if not self._state:\n",
        ),
        (
            "an answer that says two things is taken",
            "        if len(given) != len(pairs) or not (",
            "        if not (",
        ),
    ),
)
