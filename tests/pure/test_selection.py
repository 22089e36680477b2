"""Which message is copied where, against a dumb twin; each rule by an example of its own."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.shared.connector.selection import Due, LeftOut, NotDue, Rule, Selection, select
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope
from tdc.shared.settings.values import Policy, PolicyAction

INTAKE = "journal@intake.example"
OTHER = "other@intake.example"
MAXIMUM = 1_000

BASE = dataclasses.replace(
    ConnectorSettings.defaults(), enabled=True, intake_address=INTAKE, max_message_size=MAXIMUM
)


def settings(**fields: object) -> ConnectorSettings:
    return dataclasses.replace(BASE, **fields)  # type: ignore[arg-type]


def to(*recipients: str, sender: str = "alice@sender.example") -> Envelope:
    return Envelope(sender=sender, recipients=recipients)


def taken(
    envelope: Envelope, conf: ConnectorSettings = BASE, size: int = 10, loop: bool = False
) -> Selection:
    return select(envelope, size, loop, conf)


# -- the dumb twin -----------------------------------------------------------------------------


def dumb(envelope: Envelope, size: int, loop: bool, conf: ConnectorSettings) -> Selection:
    """ASCII addresses without quotes and routes only, one question after the other."""
    if not conf.enabled:
        return everybody_left_out(envelope, NotDue.DISABLED)
    if loop:
        return everybody_left_out(envelope, NotDue.JOURNAL_REPORT)
    verdicts = [
        (recipient, dumb_verdict(envelope.sender, recipient, conf))
        for recipient in envelope.recipients
    ]
    due = [(recipient, verdict) for recipient, verdict in verdicts if not isinstance(verdict, Rule)]
    left_out: list[LeftOut] = []
    for reason in (NotDue.NO_SCAN, NotDue.TO_INTAKE, NotDue.NOT_INCOMING):
        rules = [v for _, v in verdicts if isinstance(v, Rule) and v.reason is reason]
        left_out += [LeftOut(rule, rules.count(rule)) for rule in dict.fromkeys(rules)]
    if not due:
        reason = left_out[0].rule.reason if left_out else NotDue.NOT_INCOMING
        return Selection((), reason, tuple(left_out))
    if size > conf.max_message_size:
        return Selection((), NotDue.TOO_LARGE, tuple(left_out))
    intakes: list[str] = []
    for _, intake in due:
        if intake not in intakes:
            intakes.append(intake)
    return Selection(
        tuple(Due(intake, tuple(r for r, v in due if v == intake)) for intake in intakes),
        None,
        tuple(left_out),
    )


def everybody_left_out(envelope: Envelope, reason: NotDue) -> Selection:
    return Selection((), reason, (LeftOut(Rule(reason), len(envelope.recipients)),))


def dumb_verdict(sender: str, recipient: str, conf: ConnectorSettings) -> str | Rule:
    intakes = [conf.intake_address, *[policy.intake_address for policy in conf.policies]]
    if recipient.lower() in [intake.lower() for intake in intakes if intake]:
        return Rule(NotDue.TO_INTAKE)
    domain = recipient.lower().split("@")[-1] if "@" in recipient else ""
    own = recipient.lower() == "postmaster"
    if conf.incoming_domains and domain not in conf.incoming_domains and not own:
        return Rule(NotDue.NOT_INCOMING)
    for policy in conf.policies:
        if dumb_match(policy, sender, recipient):
            if policy.action == "no-scan":
                return Rule(NotDue.NO_SCAN, policy.name)
            if policy.action == "custom":
                return str(policy.intake_address)
            break
    return str(conf.intake_address)


def dumb_match(policy: Policy, sender: str, recipient: str) -> bool:
    for patterns, path in ((policy.senders, sender), (policy.recipients, recipient)):
        hits = [
            path.lower() == pattern.lower() or path.lower().endswith("@" + pattern.lower())
            for pattern in patterns
        ]
        if patterns and not any(hits):
            return False
    return True


domains = st.sampled_from(["corp.example", "sub.corp.example", "else.example", "Corp.Example"])
paths = st.one_of(
    st.builds(
        lambda local, domain: f"{local}@{domain}", st.sampled_from(["ceo", "CEO", "bob"]), domains
    ),
    st.sampled_from([INTAKE, OTHER, "Journal@INTAKE.example", "postmaster"]),
)
patterns = st.lists(
    st.sampled_from(["corp.example", "else.example", "ceo@corp.example", "CEO@else.example"]),
    max_size=2,
    unique=True,
).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    action = draw(st.sampled_from(PolicyAction))
    return Policy(
        name="p",
        action=action,
        senders=draw(patterns),
        recipients=draw(patterns),
        intake_address=draw(st.sampled_from([INTAKE, OTHER])) if action == "custom" else None,
    )


@given(
    st.lists(paths, min_size=1, max_size=4).map(tuple),
    st.one_of(paths, st.just("")),
    st.sampled_from([0, MAXIMUM, MAXIMUM + 1]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), ("corp.example",), ("corp.example", "else.example")]),
    st.lists(policies(), max_size=3).map(tuple),
)
def test_the_selection_is_that_of_the_dumb_twin(
    recipients: tuple[str, ...],
    sender: str,
    size: int,
    loop: bool,
    enabled: bool,
    incoming: tuple[str, ...],
    rules: tuple[Policy, ...],
) -> None:
    conf = settings(enabled=enabled, incoming_domains=incoming, policies=rules)
    envelope = Envelope(sender, recipients)
    selection = select(envelope, size, loop, conf)
    assert selection == dumb(envelope, size, loop, conf)
    assert bool(selection.copies) == (selection.reason is None)
    reported = [recipient for copy in selection.copies for recipient in copy.recipients]
    assert len(reported) <= len(recipients)
    assert len({copy.intake for copy in selection.copies}) == len(selection.copies)


# -- rule by rule ------------------------------------------------------------------------------


def test_one_message_with_several_recipients_is_one_copy_that_reports_them_all_in_order() -> None:
    selection = taken(to("b@corp.example", "a@corp.example", "b@corp.example"))
    recipients = ("b@corp.example", "a@corp.example", "b@corp.example")
    assert selection == Selection((Due(INTAKE, recipients),), None)


def test_recipients_of_two_intakes_are_two_copies() -> None:
    conf = settings(
        policies=(Policy("p", PolicyAction.CUSTOM, (), ("second.example",), OTHER),),
    )
    selection = taken(to("a@corp.example", "b@second.example", "c@corp.example"), conf)
    assert selection.copies == (
        Due(INTAKE, ("a@corp.example", "c@corp.example")),
        Due(OTHER, ("b@second.example",)),
    )


def test_a_no_scan_recipient_is_left_out_and_the_others_stay() -> None:
    conf = settings(policies=(Policy("p", PolicyAction.NO_SCAN, (), ("hr@corp.example",)),))
    assert taken(to("HR@corp.example", "a@corp.example"), conf).copies == (
        Due(INTAKE, ("a@corp.example",)),
    )
    assert taken(to("hr@corp.example"), conf).reason is NotDue.NO_SCAN
    assert taken(to('"hr"@corp.example'), conf).reason is NotDue.NO_SCAN


def test_the_first_policy_that_matches_decides() -> None:
    conf = settings(
        policies=(
            Policy("vip", PolicyAction.DEFAULT, (), ("ceo@corp.example",)),
            Policy("rest", PolicyAction.NO_SCAN, (), ("corp.example",)),
        )
    )
    selection = taken(to("bob@corp.example", "ceo@corp.example"), conf)
    assert selection.copies == (Due(INTAKE, ("ceo@corp.example",)),)


def test_a_policy_with_senders_and_recipients_needs_both() -> None:
    conf = settings(
        policies=(Policy("p", PolicyAction.NO_SCAN, ("list.example",), ("corp.example",)),)
    )
    assert taken(to("a@corp.example", sender="x@list.example"), conf).reason is NotDue.NO_SCAN
    assert taken(to("a@corp.example", sender="x@sub.list.example"), conf).reason is None
    assert taken(to("a@else.example", sender="x@list.example"), conf).reason is None
    assert taken(to("a@corp.example", sender=""), conf).reason is None


def test_a_bare_local_part_is_not_taken_for_a_domain() -> None:
    conf = settings(policies=(Policy("p", PolicyAction.NO_SCAN, (), ("corp.example",)),))
    assert taken(to("corp.example"), conf).reason is None
    assert taken(to("a@corp.example"), conf).reason is NotDue.NO_SCAN


@pytest.mark.parametrize(
    ("recipient", "incoming"),
    [
        ("a@corp.example", True),
        ("a@CORP.Example", True),
        ("a@corp.example.", True),
        ("a@sub.corp.example", False),
        ("a@xcorp.example", False),
        ("a@corp.example.org", False),
        ("a@b\u00fccher.example", True),
        ("a@xn--bcher-kva.example", True),
        ("a@[192.0.2.1]", False),
        ("postmaster", True),  # the gateway's own: RFC 5321 4.5.1
        ("Postmaster", True),
        ("postmaster2", False),
    ],
)
def test_incoming_is_a_domain_as_listed_and_not_its_subdomains(
    recipient: str, incoming: bool
) -> None:
    conf = settings(incoming_domains=("corp.example", "xn--bcher-kva.example"))
    assert (taken(to(recipient), conf).reason is None) == incoming


def test_no_incoming_domains_means_all_recipients() -> None:
    assert taken(to("postmaster", "x@anywhere.example")).copies == (
        Due(INTAKE, ("postmaster", "x@anywhere.example")),
    )


@pytest.mark.parametrize("recipient", [INTAKE, "JOURNAL@intake.example", OTHER])
@pytest.mark.proves("B50")
def test_mail_to_an_intake_is_never_copied_not_even_to_another_intake(recipient: str) -> None:
    conf = settings(policies=(Policy("p", PolicyAction.CUSTOM, (), ("corp.example",), OTHER),))
    assert taken(to(recipient), conf).reason is NotDue.TO_INTAKE
    mixed = taken(to(recipient, "a@else.example"), conf)
    assert mixed.copies == (Due(INTAKE, ("a@else.example",)),)


def test_disabled_and_our_own_reports_come_before_every_other_question() -> None:
    assert taken(to(INTAKE), settings(enabled=False), 10**9, True).reason is NotDue.DISABLED
    assert taken(to(INTAKE), BASE, 10**9, True).reason is NotDue.JOURNAL_REPORT


def test_too_large_is_said_only_where_a_copy_would_have_been_due() -> None:
    """For it is the one reason that counts as a missed copy."""
    assert taken(to("a@corp.example"), size=MAXIMUM).reason is None
    assert taken(to("a@corp.example"), size=MAXIMUM + 1).reason is NotDue.TOO_LARGE
    conf = settings(incoming_domains=("else.example",))
    assert taken(to("a@corp.example"), conf, MAXIMUM + 1).reason is NotDue.NOT_INCOMING


def test_the_null_sender_is_copied_like_any_other() -> None:
    assert taken(to("a@corp.example", sender="")).reason is None
