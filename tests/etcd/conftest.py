"""The client alone, on every kind of etcd."""

from tests.stage.etcds import embedded, etcd, lossy, members, proxy, server, small_etcd

__all__ = ["embedded", "etcd", "lossy", "members", "proxy", "server", "small_etcd"]
