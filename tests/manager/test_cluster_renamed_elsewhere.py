"""A cluster renamed at one manager, with an agent at another: both speak of the same machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tdc.shared.sync.queue_work import QueueAnswer, QueueOrder
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2

from tests.stage.manager import add_machine
from tests.stage.managers import Several, holds, several
from tests.stage.settings_stream import agent


async def test_status_and_work_go_to_the_machine_by_its_cluster_s_new_name(tmp_path: Path) -> None:
    orders: list[QueueOrder] = []

    async def perform(order: QueueOrder) -> QueueAnswer:
        orders.append(order)
        return QueueAnswer(order.id, copies=3, bytes=30)

    async with several(tmp_path, "one", "two") as managers:
        await managers.fleet("mx1")
        folder = await managers.enrolled("mx1")
        async with agent(folder, managers["two"].address, perform=perform, learns=False):
            await holds(partial(_shown, managers, {"c1": "in sync"}))
            edit = fleet_pb2.RenameCluster(name="c1", to="emea")
            await managers["one"].api.commit(fleet_pb2.Edit(rename_cluster=edit))
            await holds(partial(_shown, managers, {"emea": "in sync"}))
            await managers["one"].api.create_cluster("c1")
            await managers["one"].api.commit(add_machine("mx1", "Main_Group"), cluster="c1")
            await holds(partial(_shown, managers, {"c1": "offline", "emea": "in sync"}))
            for name in ("one", "two"):
                api = managers[name].api
                (row,) = (await api.queue.DoWork(_work("emea", f"r {name}"))).machines
                assert (row.problem, row.copies) == ("", 3)
                (other,) = (await api.queue.DoWork(_work("c1", f"o {name}"))).machines
                assert other.problem
            assert {order.id for order in orders if not order.count_only} == {"r one", "r two"}


def _work(cluster: str, request_id: str) -> operators_pb2.QueueWorkRequest:
    return operators_pb2.QueueWorkRequest(
        scope=operators_pb2.QueueScope(machines=["mx1"], cluster=cluster),
        retry=agents_pb2.RetryCopies(selection=agents_pb2.CopySelection(dead=True)),
        request_id=request_id,
    )


async def _shown(managers: Several, wanted: dict[str, str]) -> bool:
    found = [
        {row.cluster: row.state for row in (await managers[name].status()).machines}
        for name in ("one", "two")
    ]
    return found == [wanted, wanted]
