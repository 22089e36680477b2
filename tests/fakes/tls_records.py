"""The records of a TLS connection, each made by hand once OpenSSL has done the handshake.

A TLS library sends only what is lawful. Here the keys come from the handshake's own key log, so
that a test can send any record, well encrypted: one that is too long, a thousand changes of keys,
a request to negotiate once more. TLS 1.3 (RFC 8446) and 1.2 (RFC 5246, 5288), AES-256-GCM.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
LONGEST = 2**14  # octets of content in one record
KEY_UPDATE = b"\x18\x00\x00\x01\x00"
KEY_UPDATE_REQUESTED = b"\x18\x00\x00\x01\x01"
HELLO_REQUEST = bytes(4)
_HASH = "sha384"
_LINE = re.compile(r"(?m)^[A-Z]\w+ .*$")


@dataclass
class Direction:
    """What is needed to write, or to read, one direction."""

    key: bytes
    iv: bytes
    secret: bytes = b""  # TLS 1.3
    sequence: int = 0

    @classmethod
    def of_secret(cls, secret: bytes) -> Direction:
        return cls(_expanded(secret, b"key", 32), _expanded(secret, b"iv", 12), secret)

    def update(self) -> None:
        """Take the next keys (RFC 8446 7.2)."""
        self.__dict__.update(vars(self.of_secret(_expanded(self.secret, b"traffic upd", 48))))

    def seal(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        if self.secret:
            inner = content + bytes([kind]) + bytes(padding)
            head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2, "big")
            return head + AESGCM(self.key).encrypt(self._nonce(number), inner, head)
        known = number + bytes([kind]) + b"\x03\x03" + len(content).to_bytes(2, "big")
        sealed = number + AESGCM(self.key).encrypt(self.iv + number, content, known)
        return bytes([kind]) + b"\x03\x03" + len(sealed).to_bytes(2, "big") + sealed

    def open(self, head: bytes, sealed: bytes) -> tuple[int, bytes]:
        number = self.sequence.to_bytes(8, "big")
        self.sequence += 1
        if self.secret:
            inner = AESGCM(self.key).decrypt(self._nonce(number), sealed, head).rstrip(b"\0")
            return inner[-1], inner[:-1]
        length = (len(sealed) - 24).to_bytes(2, "big")
        known = number + head[:3] + length
        return head[0], AESGCM(self.key).decrypt(self.iv + sealed[:8], sealed[8:], known)

    def _nonce(self, number: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(self.iv, bytes(4) + number, strict=True))


class TlsRecords:
    """The server's end of a connection; `alerts` are those that the client sent."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ours: Direction,
        theirs: Direction,
        ahead: bytes,
    ) -> None:
        self.reader, self.writer = reader, writer
        self.ours, self.theirs = ours, theirs
        self._ahead = ahead  # came with the end of the handshake
        self.alerts: list[bytes] = []
        self.handshakes: list[bytes] = []
        self._text = bytearray()

    def write(self, content: bytes, *, kind: int = DATA, padding: int = 0) -> None:
        """Send one record, however long it is."""
        self.writer.write(self.ours.seal(kind, content, padding))

    def key_updates(self, count: int, message: bytes = KEY_UPDATE) -> None:
        """Change our keys so many times."""
        for _ in range(count):
            self.write(message, kind=HANDSHAKE)
            self.ours.update()

    async def read(self) -> bytes:
        """The next content from the client, empty at the end."""
        while True:
            try:
                head = await self._octets(5)
                sealed = await self._octets(int.from_bytes(head[3:], "big"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            kind, content = self.theirs.open(head, sealed)
            if kind == DATA:
                return content
            if kind == ALERT:
                self.alerts.append(content)
            else:
                self.handshakes.append(content)
                if content[0] == KEY_UPDATE[0]:
                    self.theirs.update()

    async def _octets(self, count: int) -> bytes:
        while len(self._ahead) < count:
            self._ahead += await self.reader.readexactly(count - len(self._ahead))
        octets, self._ahead = self._ahead[:count], self._ahead[count:]
        return octets

    async def until(self, end: bytes) -> bytes:
        """The client's text up to `end`, empty if it leaves before."""
        while end not in self._text:
            more = await self.read()
            if not more:
                return b""
            self._text += more
        text, _, rest = bytes(self._text).partition(end)
        self._text[:] = rest
        return text + end


async def accepted(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    certificate: tuple[Path, Path],
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> TlsRecords:
    """Shake hands as the server; raises ssl.SSLError, ConnectionError."""
    with tempfile.NamedTemporaryFile() as key_log:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ECDHE+AES256+AESGCM")
        context.num_tickets = 0
        context.keylog_filename = key_log.name
        context.load_cert_chain(*certificate)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        first_flight = b""
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sent = outgoing.read()
                first_flight = first_flight or sent
                writer.write(sent)
                received = await reader.read(65_536)
                if not received:
                    raise ConnectionResetError("no handshake") from None
                incoming.write(received)
        writer.write(outgoing.read())
        ahead = incoming.read()
        secrets = dict(map(_logged, _LINE.findall(Path(key_log.name).read_text())))
    cipher = tls.cipher()
    assert cipher is not None
    assert "AES_256_GCM" in cipher[0].replace("AES256-GCM", "AES_256_GCM"), cipher
    if version is ssl.TLSVersion.TLSv1_3:
        ours = Direction.of_secret(secrets["SERVER_TRAFFIC_SECRET_0"][1])
        theirs = Direction.of_secret(secrets["CLIENT_TRAFFIC_SECRET_0"][1])
        return TlsRecords(reader, writer, ours, theirs, ahead)
    client_random, master = secrets["CLIENT_RANDOM"]
    server_random = first_flight[11:43]  # record 5, handshake 4, version 2
    block = _prf(master, b"key expansion" + server_random + client_random, 72)
    ours = Direction(block[32:64], block[68:72], sequence=1)  # 0 was the end of the handshake
    theirs = Direction(block[:32], block[64:68], sequence=1)
    return TlsRecords(reader, writer, ours, theirs, ahead)


def _logged(line: str) -> tuple[str, tuple[bytes, bytes]]:
    label, client_random, secret = line.split()
    return label, (bytes.fromhex(client_random), bytes.fromhex(secret))


def _expanded(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label of RFC 8446 7.1; one block of the hash is enough."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return hmac.digest(secret, info + b"\x01", _HASH)[:length]


def _prf(master: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 5246 5."""
    made, turn = b"", seed
    while len(made) < length:
        turn = hmac.digest(master, turn, _HASH)
        made += hmac.digest(master, turn + seed, hashlib.sha384)
    return made[:length]
