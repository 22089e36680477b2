"""Which provider people log in at, of the options."""

from __future__ import annotations

import importlib.util

from tdc.manager.intent.provider_login import Provider, Rules
from tdc.manager.options import Options, OptionsError
from tdc.manager.people.provider import read_grant
from tdc.manager.provider.client import ProviderClient
from tdc.manager.provider.values import Registration


def provider_of(options: Options) -> Provider | None:
    """The provider; None where no provider is named.

    The client's secret is read again at each login: a new one needs no restart of the manager.
    Raises OptionsError if the libraries for it are not installed.
    """
    if not options.oidc_issuer:
        return None
    missing = [each for each in ("httpx", "jwt") if importlib.util.find_spec(each) is None]
    if missing:
        raise OptionsError(
            f"oidc_issuer: logins by a provider need {' and '.join(missing)}, which are not "
            "installed here: install the distribution with its extra oidc"
        )
    file = options.oidc_client_secret_file
    own = Registration(
        options.oidc_issuer,
        options.oidc_client_id,
        lambda: file.read_text(encoding="utf-8").strip() if file is not None else "",
        options.oidc_scopes,
        str(options.oidc_ca or ""),
    )
    rules = Rules(
        options.oidc_name_claim,
        options.oidc_groups_claim,
        tuple(map(read_grant, options.oidc_roles)),
    )
    return Provider(ProviderClient(own), rules)
