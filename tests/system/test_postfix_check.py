"""deploy/postfix/check names each setting of a Postfix that loses, holds up or alters mail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.listening import free_port
from tests.system.conftest import needs_postfix
from tests.system.postfix import DEPLOY, PrivatePostfix, filter_settings, private_postfix

pytestmark = [pytest.mark.system, needs_postfix]

REINJECT = free_port()
LISTENER = f"127.0.0.1:{REINJECT}"
BACK = "<the listener>"  # stands for it in names of tests, which must not change from run to run
LONG_AGO = 1_000_000_000

MAIN_FAULTS = [
    "content_filter=",
    "smtpd_forbid_bare_newline=no",
    "smtpd_forbid_bare_newline_exclusions=$mynetworks",
    "smtpd_forbid_unauth_pipelining=no",
    "cleanup_replace_stray_cr_lf=no",
    "smtp_tls_mandatory_protocols=>=TLSv1",
    "smtpd_tls_mandatory_protocols=!SSLv2, !SSLv3, !TLSv1",
    "smtpd_tls_mandatory_protocols=>=TLSv1.2, >=TLSv1",
    "smtpd_tls_mandatory_protocols=TLSv1.1:TLSv1.2",
    "minimal_backoff_time=300s",
    "queue_run_delay=300s",
    "tdc_destination_recipient_limit=50",
    "message_size_limit=0",
]

# Each is what is taken out of master.cf's lines, or put in another's place, and what is then named.
MASTER_FAULTS = [
    ("-o content_filter=\n", "", "no -o content_filter"),
    ("-o smtp_line_length_limit=0\n", "", "no -o smtp_line_length_limit"),
    ("-o disable_mime_output_conversion=yes\n", "", "no -o disable_mime_output_conversion"),
    ("-o smtp_send_xforward_command=yes\n", "", "no -o smtp_send_xforward_command"),
    ("-o smtpd_forbid_bare_newline=yes\n", "", "no -o smtpd_forbid_bare_newline"),
    (
        "-o smtpd_forbid_bare_newline_exclusions=\n",
        "",
        "no -o smtpd_forbid_bare_newline_exclusions",
    ),
    (
        "smtpd_forbid_bare_newline_exclusions=\n",
        "smtpd_forbid_bare_newline_exclusions=$mynetworks\n",
        "-o smtpd_forbid_bare_newline_exclusions=$mynetworks",
    ),
    ("-o mynetworks=127.0.0.0/8", "-o mynetworks=10.0.0.0/8", "-o mynetworks=10.0.0.0/8"),
    (
        "_recipient_restrictions=permit_mynetworks,reject",
        "_recipient_restrictions=permit",
        "-o smtpd_recipient_restrictions=permit",
    ),
    ("-o smtpd_sender_restrictions=\n", "", "no -o smtpd_sender_restrictions"),
    ("-o smtpd_authorized_xforward_hosts=127.0.0.0/8\n", "", "no -o smtpd_authorized_xforward"),
    ("-o local_header_rewrite_clients=\n", "", "no -o local_header_rewrite_clients"),
    (",no_milters", "", "receive_override_options lacks no_milters"),
    (",no_milters", ",no_milters,no_header_body_checks", "has no_header_body_checks"),
    ("       20      smtp", "       -       smtp", "tdc/unix: process limit 200"),
    ("       20      smtp", "       0       smtp", "tdc/unix: process limit 0"),
    ("tdc       unix", "scan      unix", "no service tdc/unix"),
    (BACK, "127.0.0.1:1", f"no service {BACK}/inet"),
]


@pytest.fixture(scope="module")
def postfix() -> Iterator[PrivatePostfix]:
    """A running Postfix with deploy/postfix as it is, and a general limit above the agent's."""
    main, master = filter_settings(free_port(), REINJECT)
    with private_postfix(main=main + "\ndefault_process_limit = 200\n", master=master) as running:
        yield running


@pytest.fixture
def config(postfix: PrivatePostfix, tmp_path: Path) -> Path:
    """A copy of its configuration, to put faults in."""
    return Path(shutil.copytree(postfix.config, tmp_path / "config"))


def _check(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("main.cf", "master.cf"):  # Postfix waits until a file was left alone for 2 s
        if (config / name).exists():
            os.utime(config / name, (LONG_AGO, LONG_AGO))
    return subprocess.run(
        [DEPLOY / "check", "-c", config, "-r", LISTENER, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _faults(checked: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]


def test_the_settings_that_we_hand_out_pass(postfix: PrivatePostfix) -> None:
    """What the guide tells the administrator to add is all that the check asks for."""
    checked = _check(postfix.config)
    assert (checked.returncode, _faults(checked), checked.stderr) == (0, [], "")


@pytest.mark.parametrize("action", ["accept", "tempfail", "reject", "quarantine"])
def test_what_a_milter_that_is_away_means_is_the_sites_choice(config: Path, action: str) -> None:
    """Scanners of the site may have to fail closed; we use no milter yet."""
    main = config / "main.cf"
    main.write_text(f"{main.read_text()}\nmilter_default_action={action}\n")
    assert _check(config).returncode == 0
    assert "milter_default_action" not in (DEPLOY / "main.cf.tdc").read_text()


@pytest.mark.parametrize(
    "line",
    [
        "queue_run_delay=2m",
        "minimal_backoff_time=120s",
        "tdc_destination_recipient_limit=0",
        "smtp_tls_mandatory_protocols=TLSv1.2 TLSv1.3",
        "smtp_tls_mandatory_protocols=TLSv1.3",
        "smtp_tls_mandatory_protocols=>=TLSv1.2 <=TLSv1.3",
        "smtp_tls_mandatory_protocols=>=0303",
        "smtp_tls_mandatory_protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1",
        "smtp_tls_mandatory_protocols=!sslv2 !sslv3 !tlsv1 !tlsv1.1",
    ],
)
def test_another_spelling_of_what_is_right_passes(config: Path, line: str) -> None:
    """Units of time, 0 for no limit, lists of protocols: they mean what they mean to Postfix."""
    main = config / "main.cf"
    main.write_text(f"{main.read_text()}\n{line}\n")
    assert _check(config).returncode == 0


@pytest.mark.parametrize("fault", MAIN_FAULTS)
def test_a_wrong_line_in_main_cf_is_named_alone(config: Path, fault: str) -> None:
    """One fault, one line, with what it means and what to set."""
    main = config / "main.cf"
    main.write_text(f"{main.read_text()}\n{fault}\n")  # the last line for a setting wins
    checked = _check(config)
    assert checked.returncode == 1
    [named] = _faults(checked)
    assert fault.partition("=")[0] + " =" in named
    assert checked.stdout.count("means: ") == checked.stdout.count("set:   ") == 1


@pytest.mark.parametrize(("old", "new", "named"), MASTER_FAULTS)
def test_a_wrong_line_in_master_cf_is_named_alone(
    config: Path, old: str, new: str, named: str
) -> None:
    """Overrides that are missing are named as those that are wrong."""
    master = config / "master.cf"
    text = master.read_text()
    old, named = old.replace(BACK, LISTENER), named.replace(BACK, LISTENER)
    assert old in text
    # A "-o" line is taken out whole: a blank line that is left ends nothing.
    master.write_text(text.replace("    " + old if not new and "\n" in old else old, new))
    checked = _check(config)
    assert checked.returncode == 1
    [fault] = _faults(checked)
    assert named in fault


def test_postfix_as_installed_is_told_all_that_is_missing(config: Path) -> None:
    """Debian's defaults: nothing of ours in main.cf or master.cf."""
    (config / "main.cf").write_text("compatibility_level = 3.6\n")
    (config / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    checked = _check(config)
    assert checked.returncode == 1
    for name in ("content_filter", "smtpd_forbid_bare_newline", "no service tdc/unix", LISTENER):
        assert any(name in fault for fault in _faults(checked))


def test_a_limit_over_the_agents_is_wrong(config: Path) -> None:
    """-n says how many connections the agent takes."""
    assert _check(config, "-n", "20").returncode == 0
    [fault] = _faults(_check(config, "-n", "19"))
    assert "process limit 20" in fault


def test_a_folder_without_postfix_is_no_verdict(tmp_path: Path) -> None:
    """Exit code 2, and why."""
    checked = _check(tmp_path)
    assert checked.returncode == 2
    assert "can't read Postfix's configuration" in checked.stderr
