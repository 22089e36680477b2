"""An agent's spool and delivery that die by one copy: at its reading, or at its report's building.

python -m tests.crash.poison_child FOLDER STEP: is killed, or says what it found.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from tdc.node_agent.deliver import courier, prepare
from tdc.node_agent.spool import rows
from tdc.node_agent.spool.values import Copy

from tests.stage.delivery import dead_letters, staged

POISON = b"poison"


def die_by(content: bytes) -> None:
    if POISON in content:
        os.kill(os.getpid(), signal.SIGKILL)


def poison_reading() -> None:
    checks = rows.CopyRow.is_same

    def is_same(row: rows.CopyRow, content: bytes) -> bool:
        die_by(content)
        return checks(row, content)

    mock.patch.object(rows.CopyRow, "is_same", is_same).start()


def poison_building() -> None:
    builds = prepare.prepare

    def dies(copy: Copy, *facts: Any, **more: Any) -> Any:
        die_by(copy.content)
        return builds(copy, *facts, **more)

    mock.patch.object(courier, "prepare", dies).start()


async def main(folder: Path) -> None:
    async with staged(folder, delivery_max_connections=2) as stage:
        await stage.drained()
        dead = await dead_letters(stage.spool)
        print([(each.mid, each.reason) for each in dead], len(stage.intake.messages))


if __name__ == "__main__":
    {"read": poison_reading, "built": poison_building}[sys.argv[2]]()
    asyncio.run(main(Path(sys.argv[1])))
