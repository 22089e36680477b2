"""`doctor` as a command: what was found as lines or as JSON, and the exit code.

Exit codes: 0 nothing is wrong, 1 something is critical, 4 there are warnings only.
"""

from __future__ import annotations

import json

from tdc.manager.doctor.facts import EtcdLook, Look, MemberLook
from tdc.manager.doctor.judge import MIB, Found, Severity, judged
from tdc.manager.doctor.look import looked
from tdc.manager.options import Options


async def doctor(options: Options, *, as_json: bool) -> tuple[str, int]:
    """Look at everything; returns what to print, and the exit code."""
    look = await looked(options)
    found = judged(look)
    text = _document(look, found) if as_json else "\n".join(_lines(look, found))
    return text, _code(found)


def _code(found: tuple[Found, ...]) -> int:
    if any(each.severity is Severity.CRITICAL for each in found):
        return 1
    return 4 if found else 0


def _lines(look: Look, found: tuple[Found, ...]) -> list[str]:
    lines = [_member_line(each) for each in look.etcd.members if each.status is not None]
    for each in found:
        lines += [
            "",
            f"{each.severity}: {each.area}: {each.what}",
            f"  it means: {each.means}",
            f"  do: {each.do}",
        ]
    critical = sum(each.severity is Severity.CRITICAL for each in found)
    verdict = f"critical: {critical}, warnings: {len(found) - critical}"
    if not found:
        verdict = "Nothing is wrong."
    return [*lines, *([""] if found else []), verdict]


def _member_line(member: MemberLook) -> str:
    status = member.status
    assert status is not None
    leads = ", leader" if status.leader == status.member_id else ""
    quota = f"{status.quota // MIB} MiB" if status.quota else "not known"
    return (
        f"etcd {member.name}: {status.version}{leads}, revision {status.revision}, database "
        f"{status.size / MIB:.1f} MiB, in use {status.size_in_use / MIB:.1f} MiB, quota {quota}"
    )


def _document(look: Look, found: tuple[Found, ...]) -> str:
    return json.dumps(
        {
            "verdict": ("ok", "critical", "", "", "warning")[_code(found)],
            "findings": [
                {
                    "severity": str(each.severity),
                    "area": each.area,
                    "what": each.what,
                    "means": each.means,
                    "do": each.do,
                }
                for each in found
            ],
            "etcd": _plain_etcd(look.etcd),
            "disk_free": look.folder.free,
        },
        indent=2,
    )


def _plain_etcd(etcd: EtcdLook) -> dict[str, object]:
    return {
        "embedded": etcd.embedded,
        "reachable": etcd.trouble is None and not etcd.absent,
        "members": [_plain_member(each) for each in etcd.members],
    }


def _plain_member(member: MemberLook) -> dict[str, object]:
    status = member.status
    plain: dict[str, object] = {"name": member.name, "endpoint": member.endpoint}
    if status is None:
        return {**plain, "answers": False}
    return {
        **plain,
        "answers": True,
        "version": status.version,
        "leader": status.leader == status.member_id,
        "revision": status.revision,
        "size": status.size,
        "size_in_use": status.size_in_use,
        "quota": status.quota,
        "alarms": list(status.alarms),
        "clock_ahead": member.ahead,
    }
