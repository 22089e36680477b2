"""The store, on every kind of etcd that it promises to work on."""

from tests.stage.etcds import embedded, etcd, lossy, members, proxy, server, small_etcd
from tests.stage.house import house

__all__ = ["embedded", "etcd", "house", "lossy", "members", "proxy", "server", "small_etcd"]
