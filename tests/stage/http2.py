"""HTTP/2 frames as bytes, for peers that no library would be."""

from __future__ import annotations

import struct

# RFC 9113 6 and 7
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
CANCEL = 8

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value: str) -> bytes:
    """A string literal that is not Huffman coded (RFC 7541 5.2), under 127 bytes."""
    return bytes([len(value)]) + value.encode()


def call_headers(path: str = "/tdc.v1.Fleet/ListClusters") -> bytes:
    """The header block of a gRPC call (RFC 7541 6 and appendix A)."""
    return (
        b"\x83\x87"  # :method POST, :scheme https
        + (b"\x04" + text(path) + b"\x01" + text("tdc-manager"))
        + (b"\x0f\x10" + text("application/grpc") + b"\x00" + text("te") + text("trailers"))
    )
