"""How this manager reaches an external etcd, and what an operator should know of that etcd."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from tdc.manager.etcd import versions
from tdc.manager.etcd.channel import EtcdOptions, host_of
from tdc.manager.options import Options
from tdc.manager.store.keys import ROOT


def external_etcd(options: Options) -> EtcdOptions:
    """The client's options; raises OptionsError if the password can't be read now.

    It is read again at each login: a rotated password needs no restart of the manager.
    """
    options.etcd_password()
    return EtcdOptions(
        endpoints=options.etcd_endpoints,
        ca_file=options.etcd_ca,
        cert_file=options.etcd_certificate,
        key_file=options.etcd_key,
        user=options.etcd_user or None,
        password=options.etcd_password,
        prefix=ROOT,
    )


def cautions(options: Options, version: str) -> Iterator[str]:
    """What is unsafe about an etcd on the network, in sentences; `version` may be empty.

    One on this machine's loopback is as safe as this machine.
    """
    remote = [each for each in options.etcd_endpoints if not _is_loopback(host_of(each))]
    if not remote:
        return
    shown = ", ".join(remote)
    if options.etcd_ca is None:
        yield (
            f"etcd at {shown} is reached without TLS: settings and the password cross the network "
            "in the clear. Set etcd_ca, etcd_certificate and etcd_key"
        )
    if options.etcd_certificate is None and not options.etcd_user:
        yield (
            f"nothing shows etcd at {shown} that this is a manager, so anybody who reaches it can "
            "change settings. Use client certificates or a user"
        )
    found = versions.parsed(version)
    if version and (found is None or versions.ACCESS.is_in(found)):
        yield (
            f"etcd at {shown} is {version}, whose access control has known faults (fixed in 3.5.33 "
            "and 3.6.14). Upgrade it, or let nobody but managers reach it"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")
