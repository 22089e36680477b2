"""What a reply is about: every code, enhanced code and stage, against plain words."""

from __future__ import annotations

from itertools import product

import pytest
from tdc.node_agent.deliver.reply_table import GREYLIST_WAIT, ROWS, About, row_for
from tdc.node_agent.smtp.dialogue import Stage
from tdc.node_agent.smtp.replies import Reply

STAGES = (
    Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.RSET,
    Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT,
)  # fmt: skip
CODES = sorted(
    {400, 421, 430, 432, 441, 450, 451, 452, 453, 454, 455, 458, 459}
    | {500, 501, 502, 503, 504, 510, 511, 512, 521, 522, 523, 530, 531, 534, 535, 538, 541}
    | {550, 551, 552, 553, 554, 555, 556, 557, 558, 559}
)
TOPICS = ["", *(f"{subject}.{detail}" for subject in range(10) for detail in (*range(9), 10, 28))]


def about(stage: Stage, code: int, topic: str) -> About:  # noqa: PLR0912
    """The dumb twin: RFC 5321 4.2 and RFC 3463 in the words of the policy."""
    subject, permanent = topic.partition(".")[0], code >= 500
    if stage is Stage.STARTTLS or (code == 530 and topic in ("", "7.0")):
        return About.HOST
    if code == 421:
        if stage is Stage.DOT:
            return About.MESSAGE
        return About.HOST if stage in (Stage.BANNER, Stage.EHLO) else About.CONNECTION
    if stage in (Stage.BANNER, Stage.EHLO):
        return About.HOST
    if topic in ("3.4", "2.3") or (code == 552 and subject in ("", "0")):
        return About.SIZE
    if subject == "6":
        return About.FORM if permanent else About.MESSAGE
    if topic == "2.2":
        return About.INTAKE
    if permanent and topic == "3.1":
        return About.HOST
    if code in (455, 555) or 500 <= code <= 509 or (permanent and subject == "5"):
        return About.COMMAND
    if code == 452 or (not permanent and topic in ("3.1", "5.3")):
        return About.INTAKE
    if code == 521 or subject in ("3", "4"):
        return About.HOST
    if not permanent and stage is Stage.MAIL:
        return About.HOST
    if not permanent and topic in ("7.1", "2.0"):
        return About.INTAKE
    if stage is Stage.DOT and subject in ("", "0") and (code in (550, 554) or not permanent):
        return About.MESSAGE
    if stage is Stage.DOT and subject == "5" and not permanent:
        return About.MESSAGE
    return About.INTAKE


def _reply(code: int, topic: str, text: str = "no") -> Reply:
    enhanced = f"{code // 100}.{topic} " if topic else ""
    return Reply(code, f"{code} {enhanced}{text}\r\n".encode())


@pytest.mark.parametrize("stage", STAGES)
def test_each_reply_is_about_what_the_policy_says(stage: Stage) -> None:
    for code, topic in product(CODES, TOPICS):
        row = row_for(stage, _reply(code, topic))
        assert row.about is about(stage, code, topic), (stage, code, topic)


def test_a_message_is_charged_only_for_its_form_its_size_or_a_refusal_without_a_word_why() -> None:
    """The first claim of the policy, over the whole table: nothing else can make a copy dead."""
    for code, topic in product(CODES, TOPICS):
        row = row_for(Stage.DOT, _reply(code, topic))
        if code < 500 or row.about not in (About.MESSAGE, About.FORM, About.SIZE):
            continue
        says_size = topic in ("3.4", "2.3") or code == 552
        says_nothing = code in (550, 554) and topic.partition(".")[0] in ("", "0")
        assert topic.startswith("6.") or says_size or says_nothing, (code, topic)


def test_every_row_decides_something_and_the_last_one_fits_all() -> None:
    asked = [
        row_for(stage, _reply(code, topic, text))
        for stage, code, topic, text in product(STAGES, CODES, TOPICS, ("no", "Greylisted"))
    ]
    assert {id(row) for row in asked} == {id(row) for row in ROWS}


@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DATA, Stage.DOT])
def test_greylisting_is_known_by_its_code_or_its_word(stage: Stage) -> None:
    for code, topic, text in [
        (451, "7.1", "x"),
        (450, "2.0", "x"),
        (450, "", "you are GREYLISTED"),
    ]:
        row = row_for(stage, _reply(code, topic, text))
        assert (row.about, row.at_least) == (About.INTAKE, GREYLIST_WAIT)
