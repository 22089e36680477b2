"""agent.toml: what is refused, and where; and that its reference says the same as the code."""

from __future__ import annotations

import operator
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from tdc.node_agent.options import AgentOptions, AgentOptionsError, host_port, read_options

REFERENCE = Path(__file__).parents[2] / "docs" / "agent-toml.md"
LEAST = """\
state_folder = "state"

[manager]
addresses = ["manager.example:7443"]

[ingest]
next_hop = "127.0.0.1:10026"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_the_least_that_is_needed_is_enough(tmp_path: Path) -> None:
    options = read_options(written(tmp_path, LEAST))
    assert options.state_folder == tmp_path / "state"
    assert options.identity_folder == tmp_path / "state" / "identity"
    assert options.spool_folder == tmp_path / "state" / "spool"
    assert options.ingest.next_hops == ("127.0.0.1:10026",)
    assert options.deliver.mx_port == 25


@pytest.mark.proves("B99")
@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("next_hop", "next_hops"), 7, "unknown key next_hops in [ingest]; did you mean next_hop?"),
        (('next_hop = "127.0.0.1:10026"', ""), 6, "missing key `next_hop`: write next_hop"),
        (("[ingest]", "[ingets]"), 6, "unknown key ingets; did you mean ingest?"),
        (('"127.0.0.1:10026"', '"127.0.0.1"'), 7, "host:port"),
        (('"127.0.0.1:10026"', '"127.0.0.1:0"'), 7, "host:port"),
        (('"127.0.0.1:10026"', '"127.0.0.1:65536"'), 7, "host:port"),
        (('"127.0.0.1:10026"', "[]"), 7, "next_hop"),
        (('"127.0.0.1:10026"', "25"), 7, "next_hop must be text in quotes or a list"),
        (('["manager.example:7443"]', "[]"), 4, "addresses"),
        (
            ('["manager.example:7443"]', '"manager.example:7443"'),
            4,
            'addresses must be a list: ["manager.example:7443"]',
        ),
        (
            ('["manager.example:7443"]', '["manager"]'),
            4,
            "addresses: 'manager' is not a valid host:port, such as 192.0.2.7:7443 or "
            "manager.corp.example:7443 (in [manager])",
        ),
        (
            ("[ingest]", '[ingest]\nlisten = "10025"'),
            7,
            "listen: '10025' is not a valid host:port, such as 127.0.0.1:10025 (in [ingest])",
        ),
        (('["manager.example:7443"]', "[5]"), 4, "each entry of addresses must be text in quotes"),
        (
            ("[ingest]", '[ingest]\ncommand_timeout = "5m"'),
            7,
            "command_timeout must be a number of seconds, such as 300",
        ),
        (("[ingest]", '[ingest]\nmax_connections = "9"'), 7, "a whole number, without quotes"),
        (("[ingest]", "[log]\nfile = 5\n[ingest]"), 7, "5 is not a valid path (at log.file)"),
        (('["manager.example:7443"]', '["m:1"]\nretry_maximum = nan'), 5, "retry_maximum"),
        (('= "state"', "= 5"), 1, "state_folder"),
        (('= "state"', '= ""'), 1, "state_folder"),
        (('= "state"', '= "state"\nenabled = true'), 2, "enabled"),
        (("[manager]", "[deliver]\nmx_port = 70000\n[manager]"), 4, "mx_port"),
        (("[manager]", '[deliver]\nnameservers = ["ns.example:53"]\n[manager]'), 4, "nameservers"),
        (("[manager]", '[deliver]\nnameservers = ["1.1.1.1:0"]\n[manager]'), 4, "nameservers"),
        (("[manager]", '[deliver]\nnameservers = ["1.1.1.1:dns"]\n[manager]'), 4, "nameservers"),
        (("[manager]", '[deliver]\nnameservers = ["1.1.1"]\n[manager]'), 4, "nameservers"),
        (("[manager]", '[deliver]\nnameservers = [""]\n[manager]'), 4, "nameservers"),
        (("[manager]", '[deliver]\nnameservers = ["2001:db8::1"]\n[manager]'), 4, "nameservers"),
        (("[ingest]", '[ingest]\ntrusted = ["127.0.0.1/33"]'), 7, "127.0.0.1/33"),
        (("[ingest]", "[ingest]\nmax_connections = 0"), 7, "max_connections"),
        (("[ingest]", "[ingest]\nmax_message_size = 10"), 7, "max_message_size"),
        (("[ingest]", "[ingest]\ncommand_timeout = 0.0"), 7, "command_timeout"),
        (("[ingest]", "[ingest]\nblock_timeout = nan"), 7, "block_timeout"),
        (("[ingest]", "[ingest]\nmessage_timeout = inf"), 7, "message_timeout"),
        (("[ingest]", "[ingest]\nminimum_rate = 0"), 7, "minimum_rate"),
        (('= "state"', '= "state"\nmax_bytes_in_hand = 1'), 2, "max_bytes_in_hand"),
    ],
)
def test_a_fault_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], line: int, said: str
) -> None:
    path = written(tmp_path, LEAST.replace(*change))
    with pytest.raises(AgentOptionsError) as caught:
        read_options(path)
    assert said in str(caught.value)
    assert f"{path} line {line}:" in str(caught.value)


def test_limits_reach_what_they_bound(tmp_path: Path) -> None:
    limits = {
        "max_connections": 7, "max_message_size": 100_000, "command_timeout": 1.0,
        "block_timeout": 2.0, "message_timeout": 3.0, "minimum_rate": 4.0,
    }  # fmt: skip
    lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
    text = LEAST.replace("[ingest]\n", f"[ingest]\n{lines}")
    options = read_options(written(tmp_path, f"max_bytes_in_hand = {2**30}\n{text}"))
    in_force = options.filter_options("mx1")
    assert {name: getattr(in_force, name) for name in limits} == limits
    assert in_force.bytes_in_hand == 2**30 - 2**27
    assert options.delivery_options("mx1").bytes_at_hand == 2**27


def test_nameservers_are_addresses(tmp_path: Path) -> None:
    given = ("192.0.2.53:5353", "192.0.2.53", "[2001:db8::1]:53", "[2001:db8::1]")
    section = f"[deliver]\nnameservers = {list(given)}\n"
    assert read_options(written(tmp_path, LEAST + section)).deliver.nameservers == given


NESTED = b"a = " + b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"a = ", b"a = 1\na = 2\n", b"", b"\x00", b"a = " + b"9" * 9_999, NESTED],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(AgentOptionsError, match=re.escape(str(path))):
        read_options(path)
    with pytest.raises(AgentOptionsError):
        read_options(tmp_path / "none.toml")


def test_addresses_are_split() -> None:
    assert host_port("[::1]:25") == ("::1", 25)
    assert host_port("mx.example:0", zero=True) == ("mx.example", 0)
    for text in ("mx", "mx:", ":25", "mx:25 ", "mx:-1", "mx:0x19", "a b:25", "::1:25"):
        with pytest.raises(ValueError, match="host:port"):
            host_port(text)


def test_the_reference_names_every_key_and_no_other() -> None:
    keys_part = REFERENCE.read_text().partition("\n## ")[0]
    described = set(re.findall(r"^\| `([a-z_.]+)` \|", keys_part, re.MULTILINE))
    keys: set[str] = set()
    for field in msgspec.structs.fields(AgentOptions):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            inner = msgspec.structs.fields(field.type)
            keys |= {f"{field.name}.{each.name}" for each in inner}
        else:
            keys.add(field.name)
    assert described == keys


def test_the_reference_says_the_defaults_that_hold(tmp_path: Path) -> None:
    """As agent.toml would say them; words, not values, where a default depends on the machine."""
    options = read_options(written(tmp_path, LEAST))
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^|]+)` \|", REFERENCE.read_text(), re.MULTILINE)
    said = {key: text for key, text in rows if not text.startswith("state_folder/")}
    assert len(said) > 5
    for key, text in said.items():
        value = tomllib.loads(f"value = {text}")["value"]
        held = operator.attrgetter(key)(options)
        assert (list(held) if isinstance(held, tuple) else held) == value, key


def test_the_example_of_the_reference_is_read(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    assert example is not None
    assert read_options(written(tmp_path, example[1])).ingest.listen == "127.0.0.1:10025"
