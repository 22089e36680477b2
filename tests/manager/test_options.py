"""Options: where they come from, which one wins, what is refused."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import msgspec
import pytest
from tdc.manager.options import Options, OptionsError, add_flags, read_options
from tdc.manager.program import init_command


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    options = read_options({"folder": str(tmp_path)}, {})
    assert options == Options(tmp_path)
    assert options.embedded
    assert options.advertised_host == "127.0.0.1"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "manager.toml").write_text(
        'listen_port = 1\nenrol_port = 2\nnames = ["a.example", "b.example"]\nlog_level = "debug"\n'
    )
    environment = {"TDC_MANAGER_LISTEN_PORT": "3", "TDC_MANAGER_ENROL_PORT": "4", "HOME": "/"}
    flags = {"folder": tmp_path, "listen_port": "5", "enrol_port": None, "operator": "ana"}
    options = read_options(flags, environment)
    assert (options.listen_port, options.enrol_port) == (5, 4)
    assert (options.names, options.log_level) == (("a.example", "b.example"), "debug")
    assert options.advertised_host == "a.example"


def test_an_external_etcd_is_read_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    flags = {
        "folder": tmp_path,
        "etcd_endpoints": "e1:2379, e2:2379",
        "etcd_ca": "ca.pem",
        "etcd_user": "tdc",
        "etcd_password_file": str(tmp_path / "password"),
    }
    options = read_options(flags, {})
    assert options.etcd_endpoints == ("e1:2379", "e2:2379")
    assert not options.embedded
    assert options.etcd_ca == Path("ca.pem")
    assert options.etcd_password() == "correct horse"


@pytest.mark.parametrize("name", ["etcd_ca", "etcd_user", "etcd_password_file"])
def test_how_to_reach_an_etcd_that_is_not_named_is_refused(tmp_path: Path, name: str) -> None:
    """Else the embedded one would be used, and nobody would notice."""
    with pytest.raises(OptionsError, match=r"--\S+: says how .*Give etcd_endpoints") as caught:
        read_options({"folder": tmp_path, name: "x"}, {})
    assert str(caught.value).startswith(f"--{name.replace('_', '-')}: ")


def test_a_path_in_the_file_is_beside_the_file_and_one_given_to_init_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "manager.toml").write_text(
        'etcd_endpoints = ["e:1"]\netcd_ca = "etcd-ca.pem"\nports_file = "/run/ports"\n'
    )
    options = read_options({"folder": tmp_path}, {})
    assert (options.etcd_ca, options.ports_file) == (tmp_path / "etcd-ca.pem", Path("/run/ports"))

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "made"
    assert init_command({"folder": folder, "etcd_ca": "here.pem", "etcd_endpoints": "e:1"}) == 0
    assert read_options({"folder": folder}, {}).etcd_ca == tmp_path / "here.pem"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"listen_port": "70000"}, "between 0 and 65535"),
        ({"listen_port": "smtp"}, "not a number"),
        ({"deadline": "nan"}, "deadline"),
        ({"ping_interval": "5", "deadline": "5"}, "longer than ping_interval"),
        ({"log_level": "loud"}, "'loud'"),
        ({"listen_host": "0.0.0.0"}, "--advertise"),
        ({"etcd_key": "key.pem"}, "both or neither"),
        ({"etcd_key": "key.pem", "etcd_certificate": "c.pem"}, "etcd_ca"),
        ({"names": "mgr.example,bücher.example"}, "bücher.example"),
        ({"advertise": "mgr.example:7443"}, "without port"),
        ({"listen_host": "[::1]"}, "brackets"),
        ({"listen_host": "300.0.0.0"}, "not a valid host name"),
        ({"listen_host": "300.0.0.0", "names": "mgr.example"}, "not a valid host name"),
        ({"listen_port": "7000", "enrol_port": "7000"}, "is listen_port too"),
        ({"listen_port": "7444"}, "enrol_port: 7444 is listen_port too"),
        ({"etcd_endpoints": "e1:2379,e2"}, "'e2' is not of the form host:port"),
    ],
)
def test_an_option_that_can_not_be_is_refused_by_name(
    tmp_path: Path, given: dict[str, str], words: str
) -> None:
    with pytest.raises(OptionsError, match=words):
        read_options({"folder": tmp_path, **given}, {})


@pytest.mark.proves("B99")
def test_a_mistyped_line_in_the_file_is_refused_not_ignored(tmp_path: Path) -> None:
    (tmp_path / "manager.toml").write_text("listenport = 1\n")
    with pytest.raises(OptionsError, match="line 1: unknown option listenport"):
        read_options({"folder": tmp_path}, {})
    (tmp_path / "manager.toml").write_text('folder = "/x"\n')
    with pytest.raises(OptionsError, match="line 1: unknown option folder; valid"):
        read_options({"folder": tmp_path}, {})
    for content in ("listen_port = [\n", "x = " + "[" * 5_000 + "]" * 5_000, "x = " + "9" * 9_999):
        (tmp_path / "manager.toml").write_text(content)
        with pytest.raises(OptionsError, match=r"manager\.toml can't be read"):
            read_options({"folder": tmp_path}, {})


def test_a_fault_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "manager.toml"
    file.write_text('names = ["m.example"]\nlisten_port = "smtp"\n')
    with pytest.raises(OptionsError, match=re.escape(f"{file} line 2: 'smtp' is not a number")):
        read_options({"folder": tmp_path}, {})
    file.write_text("ping_interval = 20\n\ndeadline = 10\n")
    with pytest.raises(OptionsError, match=re.escape(f"{file} line 3: deadline: must be longer")):
        read_options({"folder": tmp_path}, {})
    assert read_options({"folder": tmp_path, "deadline": "30"}, {}).ping_interval == 20
    with pytest.raises(OptionsError, match=r"^TDC_MANAGER_ENROL_PORT: 'x' is not a number"):
        read_options({"folder": tmp_path}, {"TDC_MANAGER_ENROL_PORT": "x"})
    with pytest.raises(OptionsError, match=r"^--log-level: 'loud' is not one of debug, info, "):
        read_options({"folder": tmp_path, "log_level": "loud"}, {})


def test_space_around_a_name_in_a_list_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "manager.toml").write_text(
        'names = [" a.example ", " "]\netcd_endpoints = "e1:1 , , e2:1"\n'
    )
    options = read_options({"folder": tmp_path}, {})
    assert (options.names, options.etcd_endpoints) == (("a.example",), ("e1:1", "e2:1"))


@pytest.mark.parametrize("text", ["7443", " 7443\n", "07443"])
def test_a_number_may_be_given_as_text_anywhere(tmp_path: Path, text: str) -> None:
    """As a file of variables gives it, or in quotes in manager.toml."""
    (tmp_path / "manager.toml").write_text(f"listen_port = {json.dumps(text)}\n")
    environment = {"TDC_MANAGER_ENROL_PORT": text, "TDC_MANAGER_DEADLINE": " 1e2 "}
    with pytest.raises(OptionsError, match="TDC_MANAGER_ENROL_PORT: 7443 is listen_port too"):
        read_options({"folder": tmp_path}, environment)
    options = read_options({"folder": tmp_path, "enrol_port": "7444"}, environment)
    assert (options.listen_port, options.enrol_port, options.deadline) == (7443, 7444, 100.0)


@pytest.mark.parametrize("raw", ["7443.0", "true", '"1e3"', '"7443.0"', "[7443]"])
def test_a_port_is_a_whole_number_and_nothing_that_looks_like_it(tmp_path: Path, raw: str) -> None:
    (tmp_path / "manager.toml").write_text(f"listen_port = {raw}\n")
    with pytest.raises(OptionsError, match=r"line 1: .* is not a number"):
        read_options({"folder": tmp_path}, {})
    with pytest.raises(OptionsError, match=r"--listen-port: .* is not a number"):
        read_options({"folder": tmp_path, "listen_port": raw.strip('"')}, {})


def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "no-text").write_bytes(b"\xff\xfe")
    for file in ("/nowhere", str(tmp_path / "no-text")):
        given = {"folder": tmp_path, "etcd_endpoints": "e:1", "etcd_password_file": file}
        options = read_options(given, {})
        with pytest.raises(
            OptionsError, match=rf"etcd_password_file {file} can't be read: [^\[]*$"
        ):
            options.etcd_password()


REFERENCE = (Path(__file__).parents[2] / "docs" / "manager-toml.md").read_text("utf-8")


def test_the_reference_has_every_option_with_its_default_and_no_other() -> None:
    """And each is a flag of the program."""
    options = REFERENCE.partition("\n## Options\n")[2]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \|", options, re.MULTILINE))
    defaults = {field.name: field.default for field in msgspec.structs.fields(Options)}
    assert rows.keys() == defaults.keys()
    for name, default in defaults.items():
        given = default not in (msgspec.NODEFAULT, None, "", ())
        assert rows[name].startswith(f"`{default}`") is given, name
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = {action.dest for action in parser._actions} - {"help"}
    assert flags == defaults.keys()
