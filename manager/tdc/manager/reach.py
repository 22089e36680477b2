"""How this manager's options say to reach an external etcd."""

from __future__ import annotations

from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.options import Options
from tdc.manager.store.keys import ROOT


def external_etcd(options: Options) -> EtcdOptions:
    """The client's options; raises OptionsError if the password can't be read now.

    It is read again at each login: whoever rotates it need not restart the manager.
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
