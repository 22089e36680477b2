"""Exit codes, and a sentence on standard error for each that needs one."""

from __future__ import annotations

import contextlib
import datetime
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import pytest
import trustme
from tdc.manager.cli.errors import ExitCode
from tdc.v1 import operators_pb2

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import Refusal, ScriptedManager, write_operator

REFERENCE = Path(__file__).parents[2] / "docs" / "cli.md"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("settings set group g1 enabeld=true", "unknown setting 'enabeld'"),
        ("settings set group g1 enabled=maybe", "enabled"),
        ("settings set group g1 enabled", "setting=value"),
        ("settings set group g1 enabled=true enabled=false", "twice"),
        ("settings set group g1 intake_address=nobody", "intake_address"),
        (
            "settings set group g1 incoming_domains=@corp.example",
            "incoming_domains: 'corp.example' can't be read: No such file or directory. "
            "incoming_domains=@FILE reads the value from a file; leave the @ out",
        ),
        ("settings set group g1 tls.minimum_version=1.1", "tls.minimum_version"),
        ("settings set planet g1 enabled=true", "planet"),
        ("settings unset group g1 enabeld", "unknown setting 'enabeld'"),
        ("settings explain mx1 enabeld", "unknown setting 'enabeld'"),
        ("settings show", "--effective"),
        ("settings show group", "--effective"),
        ("settings show group g1 --effective mx1", "--effective"),
        ("machine token mx1 --lifetime soon", "lifetime"),
        ("machine token mx1 --lifetime 5", "'5' has no unit: it must be a duration"),
        ("machine token mx1 --lifetime 0s", "0s is too short: must be at least 1s"),
        ("machine create mx1", "--group"),
        ("commit show zero", "'REVISION': 'zero' is not a whole number."),
        ("commit show 0", "'REVISION': '0' is too small: it must be at least 1."),
        ("commit history --limit 99999", "'99999' is too large: it must be at most 10000."),
        ("--timeout soon status", "'--timeout': 'soon' is not a number."),
        ("status --timeout soon", "'--timeout': 'soon' is not a number."),
        ("status --timeout nan", "'--timeout': 'nan' is not a number."),
        ("status --timeout 0", "'--timeout': '0.0' is too small: it must be at least 0.1."),
        ("status --timeout inf", "'--timeout': 'inf' is too large: it must be at most 3600.0."),
        ("status --output xml", "'-o': 'xml' is not one of 'table', 'json', 'yaml'."),
        ("statsu", "statsu"),
        ("rollback 3", "There is `tdc commit rollback`."),
        ("commit status", "There is `tdc status`, `tdc delivery status` and `tdc manager status`."),
        ("", "Usage: tdc"),
    ],
)
def test_wrong_usage_is_judged_without_a_manager(
    tdc: Tdc, manager: ScriptedManager, words: str, said: str
) -> None:
    """Exit code 2, nothing on standard output, nobody was asked."""
    run = tdc(*words.split())
    assert run.code == 2
    assert said in " ".join(run.err.split())
    assert run.out == ""
    assert not manager.requests
    assert not re.search(r"Value error|Input should|unable to parse", run.err)


def test_only_what_would_change_something_says_that_nothing_was_changed(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    assert "Nothing was changed" not in tdc("settings", "explain", "mx1", "enabld").err
    assert "Nothing was changed" in tdc("settings", "unset", "group", "g1", "enabld").err


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        (grpc.StatusCode.NOT_FOUND, "tdc: no such machine"),
        (grpc.StatusCode.INVALID_ARGUMENT, "tdc: no such machine"),
        (grpc.StatusCode.PERMISSION_DENIED, "tdc: Permission denied by the manager: no such"),
        (grpc.StatusCode.UNAVAILABLE, "tdc: The manager can't do this now: no such machine"),
        (grpc.StatusCode.INTERNAL, "tdc: The manager failed: no such machine"),
        (grpc.StatusCode.UNIMPLEMENTED, "tdc: The manager at 127.0.0.1:"),
    ],
)
def test_a_refusal_of_the_manager_is_1(
    tdc: Tdc, manager: ScriptedManager, code: grpc.StatusCode, begins: str
) -> None:
    """In the manager's words."""

    def refuse(_: operators_pb2.GetEffectiveRequest) -> operators_pb2.LevelSettings:
        raise Refusal(code, "no such machine")

    manager.answers["GetEffective"] = refuse
    run = tdc("settings", "show", "--effective", "mx9")
    assert run.code == 1
    assert " ".join(run.err.split()).startswith(begins)
    assert "Traceback" not in run.err


def test_a_list_of_nothing_is_an_answer(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers.update(
        ListClusters=operators_pb2.ListClustersResponse(),
        ListGroups=operators_pb2.ListGroupsResponse(),
        ListMachines=operators_pb2.ListMachinesResponse(),
        ListCommits=operators_pb2.ListCommitsResponse(),
    )
    for words in ("cluster list", "group list", "machine list", "commit history"):
        run = tdc(*words.split())
        assert run.code == 0
        assert run.out.startswith("No ")


def _not_connected(tdc: Tdc, config: Path, timeout: str = "5") -> str:
    """Return what is said where there is no connection, on one line."""
    run = tdc("status", "--config", str(config), "--timeout", timeout)
    assert run.code == 3
    return " ".join(run.err.split())


def test_nobody_listening_is_3(tdc: Tdc, tmp_path: Path) -> None:
    """The address is named."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_operator(tmp_path / "op", address, trustme.CA(), trustme.CA())
        assert f"Can't reach the manager at {address}" in _not_connected(tdc, config)


def test_a_commit_to_nobody_was_certainly_not_made(tdc: Tdc, tmp_path: Path) -> None:
    """The call had no connection to be sent on, and the reason is in words for people."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = write_operator(tmp_path / "op", address, trustme.CA(), trustme.CA())
        run = tdc("cluster", "create", "emea", "--config", str(config))
    assert run.code == 3
    said = " ".join(run.err.split())
    assert f"Can't reach the manager at {address}: connection refused." in said
    assert said.endswith("Nothing was changed.")
    assert "may or may not" not in said


def test_a_manager_that_is_not_ours_is_3(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """Its certificate is of another CA: nothing is sent to it."""
    authority = trustme.CA()
    config = write_operator(tmp_path / "op", manager.address, authority, authority)
    said = _not_connected(tdc, config)
    assert "No trusted connection" in said
    assert "its certificate can't be verified" in said
    assert not re.search(r"TSI_|SSL_|error:|ipv4|: OK", said)
    assert not manager.requests


def test_an_operator_the_manager_does_not_know_is_3(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """Our certificate is of another CA: the manager ends the handshake."""
    config = write_operator(tmp_path / "op", manager.address, manager.authority, trustme.CA())
    assert "was not issued by the CA" in _not_connected(tdc, config)
    assert not manager.requests


def test_an_operator_whose_certificate_ended_is_told_so(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """The manager only ends the connection; the date, and what to do, come from the file."""
    ended = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    known = manager.authority
    config = write_operator(tmp_path / "op", manager.address, known, known, ends=ended)
    said = _not_connected(tdc, config)
    assert "certificate expired 2026-01-02 00:00:00Z" in said
    assert "tdc-manager operator" in said
    assert "Can't reach" not in said


def test_a_key_of_another_certificate_is_named(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """Not left at "failed to create security handshaker"."""
    known = manager.authority
    config = write_operator(tmp_path / "op", manager.address, known, known)
    known.issue_cert("x.example").private_key_pem.write_to_path(tmp_path / "op" / "operator.key")
    assert "does not match the certificate" in _not_connected(tdc, config)


def test_what_speaks_no_tls_is_not_called_a_manager_with_a_wrong_certificate(
    tdc: Tdc, tmp_path: Path
) -> None:
    """A mail server's port, say."""
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def greet() -> None:
            caller, _ = plain.accept()
            with caller, contextlib.suppress(ConnectionError):
                caller.sendall(b"220 mx1.example ESMTP\r\n")
                caller.recv(65_536)

        threading.Thread(target=greet, daemon=True).start()
        address = f"127.0.0.1:{plain.getsockname()[1]}"
        config = write_operator(tmp_path / "op", address, trustme.CA(), trustme.CA())
        assert "did not respond with TLS; check host and port." in _not_connected(tdc, config)


def test_the_library_writes_no_lines_of_its_own(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path
) -> None:
    """`tdc` as it is installed: one sentence, and not gRPC's C++ log before it."""
    config = write_operator(tmp_path / "op", manager.address, trustme.CA(), manager.authority)
    done = subprocess.run(
        [Path(sys.executable).parent / "tdc", "status", "--config", config, "--timeout", "5"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("tdc: ")
    assert ".cc:" not in done.stderr


def test_no_answer_in_time_is_3(tdc: Tdc, tmp_path: Path) -> None:
    """Every call has its deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        config = write_operator(tmp_path / "op", address, trustme.CA(), trustme.CA())
        assert "did not answer within 0.5 s" in _not_connected(tdc, config, "0.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "has no manager to talk to"),
        ("manager = ", "is not valid TOML"),
        ("manager = " + "[" * 5_000 + "]" * 5_000, "is not valid TOML: it is nested too deep"),
        ('manager = "h:1"', "lacks ca. It needs"),
        ('manager = "h"\nca = "a"\ncertificate = "b"\nkey = "c"', "not of the form host:port"),
        ('manager = "h:1"\nca = "a"\ncertificate = "b"\nkey = "c"\nport = 1', "unknown keys: port"),
        ('manager = "h:1"\nca = "a"\ncertificate = "b"\nkey = "c"', "Can't read"),
        ('manager = "h:1"\nca = "x"\ncertificate = "x"\nkey = "x"', "is not a PEM file"),
    ],
)
def test_an_unusable_operator_toml_is_3(
    tdc: Tdc, manager: ScriptedManager, tmp_path: Path, text: str | None, said: str
) -> None:
    """The file is named, and what is wrong in it."""
    config = tmp_path / "operator.toml"
    (tmp_path / "x").write_text("no PEM")
    if text is not None:
        config.write_text(text)
    run = tdc("--config", str(config), "status")
    assert run.code == 3
    said_flat = run.err.replace("\n", " ")
    assert said in said_flat
    assert "operator.toml" in said_flat.replace(" ", "")


@pytest.mark.proves("B99")
def test_a_setting_of_a_newer_manager_is_refused_in_words(
    tdc: Tdc, manager: ScriptedManager
) -> None:
    """A field this version does not know is not silently left out."""
    answer = samples.effective()
    answer.settings.MergeFromString(b"\xf8\x07\x01")  # field 127, a varint
    manager.answers["GetEffective"] = answer
    run = tdc("settings", "show", "--effective", "mx1")
    assert run.code == 1
    assert "Update tdc" in " ".join(run.err.split())


def test_a_level_of_a_newer_manager_is_refused_in_words(tdc: Tdc, manager: ScriptedManager) -> None:
    """And so is a time that is not a time: nothing unreadable is shown as something else."""
    level = samples.level_settings()
    level.level.level = 9  # type: ignore[assignment]  # a level of a later version
    manager.answers["GetLevel"] = level
    status = samples.status()
    status.machines[0].since.seconds = 2**62
    manager.answers["GetStatus"] = status
    for words, fault in (("settings show group g1", "level 9"), ("status", "invalid timestamp")):
        run = tdc(*words.split())
        assert run.code == 1
        said = " ".join(run.err.split())
        assert fault in said
        assert "Update tdc" in said
        assert run.out == ""


def test_the_reference_has_the_exit_codes() -> None:
    """docs/cli.md is their one home for operators, `ExitCode` for the code."""
    table = REFERENCE.read_text(encoding="utf-8").split("## Exit codes")[1].split("## ")[0]
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert documented == sorted(ExitCode)
