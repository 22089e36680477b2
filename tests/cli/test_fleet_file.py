"""The fleet as a document: exported it makes the same fleet, and it means what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.cli.errors import WrongUsage
from tdc.manager.cli.fleet_file import document_of, edits_for, fleet_of, merged
from tdc.manager.cli.fleet_files import read_fleet
from tdc.manager.cli.render import as_yaml
from tdc.manager.intent.targets import _edits
from tdc.manager.levels.edit import apply_edits
from tdc.manager.levels.fleet import Cluster, new_cluster
from tdc.manager.messages.edits import change_asked
from tdc.manager.messages.wire import cluster_to_wire
from tdc.v1 import fleet_pb2

from tests.pure.dumb_levels import Dumb
from tests.pure.topology_edits import valid_edits
from tests.stage.clusters import CLUSTER, after, empty_fleet, fleets, group, put


def _applied(document: object, cluster: Cluster, *, prune: bool = False) -> Cluster:
    """The cluster after `tdc apply` of the document, as the manager reads its edits."""
    wanted = fleet_of(document, "fleet.yaml")[cluster.name]
    edits = edits_for(cluster.name, wanted, cluster_to_wire(cluster), prune=prune)
    asked = change_asked(cluster.name, edits)
    plain = _edits(asked) if edits else ()
    return apply_edits(cluster, plain).cluster  # type: ignore[arg-type]


def _exported(cluster: Cluster) -> object:
    """What `tdc export` prints, read again."""
    return yaml.safe_load(as_yaml(document_of([cluster_to_wire(cluster)])))


@given(fleets(), st.data())
def test_what_was_exported_makes_the_same_fleet_of_an_empty_one(
    cluster: Cluster, data: st.DataObject
) -> None:
    cluster = after(cluster, *data.draw(valid_edits(cluster)))
    made = _applied(_exported(cluster), new_cluster("c1"), prune=True)
    assert Dumb.of(made) == Dumb.of(cluster)
    again = _applied(_exported(cluster), made, prune=True)
    assert again.revision == made.revision, "applied again, there is nothing to do"


@given(fleets(), fleets(), st.data())
def test_with_prune_any_fleet_becomes_the_one_of_the_document(
    cluster: Cluster, other: Cluster, data: st.DataObject
) -> None:
    cluster = after(cluster, *data.draw(valid_edits(cluster)))
    other = after(other, *data.draw(valid_edits(other)))
    assert Dumb.of(_applied(_exported(cluster), other, prune=True)) == Dumb.of(cluster)


def test_what_the_document_does_not_name_stays() -> None:
    start = after(
        empty_fleet(), put(group("g1"), log__level="debug"), put(CLUSTER, retry__initial=30)
    )
    document = {
        "clusters": {
            "c1": {
                "groups": {
                    "g1": {"machines": {"mx3": {}, "mx1": {"settings": {"log.level": "error"}}}},
                    "g4": None,
                }
            }
        }
    }
    made = _applied(document, start)
    assert made.machines["mx3"].group == "g1"
    assert made.machines["mx1"].stored.settings["log.level"] == "error"
    assert made.groups["g1"].stored.settings["log.level"] == "debug", "no settings, no change"
    assert made.stored.settings["retry.initial"] == 30
    assert {"g2", "g4"} <= made.groups.keys()
    assert "mx5" in made.machines


def test_a_level_with_settings_holds_exactly_those() -> None:
    start = after(empty_fleet(), put(group("g1"), log__level="debug", retry__initial=30))
    document = {"clusters": {"c1": {"groups": {"g1": {"settings": {"log.level": "error"}}}}}}
    assert dict(_applied(document, start).groups["g1"].stored.settings) == {"log.level": "error"}
    none: dict[str, object] = {"clusters": {"c1": {"groups": {"g1": {"settings": {}}}}}}
    assert len(_applied(none, start).groups["g1"].stored.settings) == 0


def test_the_document_wins_over_the_disable_rule() -> None:
    """A machine that is disabled there disables nothing that the document enables."""
    document = {
        "clusters": {
            "c1": {
                "settings": {"enabled": True, "intake_address": "in@intake.example"},
                "groups": {
                    "g1": {"settings": {}, "machines": {"mx1": {"settings": {"enabled": False}}}}
                },
            }
        }
    }
    made = _applied(document, empty_fleet())
    assert made.stored.settings["enabled"] is True
    assert "enabled" not in made.groups["g1"].stored.settings
    assert made.machines["mx1"].stored.settings["enabled"] is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", " is empty; no clusters at all are `clusters: {}`. Nothing"),
        ("# clusters: {}", " is empty; "),
        ("clusters: {a: {}}\n---\nclusters: {b: {}}\n", "line 2: another document begins"),
        ("clusters: [c1]", "clusters: must be a mapping"),
        ("cluster: {}", "unknown key 'cluster'; did you mean clusters? Nothing"),
        ("clusters: {c1: {group: {}}}", "cluster c1: unknown key 'group'; did you mean groups?"),
        ("clusters: {c1: {groups: {g1: {machines: {mx1: {enabled: true}}}}}}", "machine mx1: unkn"),
        (
            "clusters: {c1: {settings: {enabeld: true}}}",
            "cluster c1: unknown setting 'enabeld'; did you mean enabled? Nothing",
        ),
        ("clusters: {c1: {settings: {log.level: loud}}}", "cluster c1: log.level: "),
        ("clusters: {c1: {groups: {no: {}}}}", "False is not a string: put it in quotes"),
        ("clusters: {c1: {groups: {1.10: {}}}}", "1.1 is not a string: put it in quotes"),
        (
            "clusters: {c1: {groups: {g1: {machines: {m: }}, g2: {machines: {m: }}}}}",
            "machine m is in groups g1 and g2",
        ),
        ("clusters:\n  c1: {}\n  c1: {}\n", "line 3: key 'c1' is given twice"),
        ("clusters: {c1: ", "line 1: "),
        ("{[1]: 2}", "a key is not a string"),
        ('clusters: {"\\ud800": {}}', "line 1: '\\ud800' is not valid Unicode"),
        ('clusters: {c1: {settings: {intake_address: "a\\udc80"}}}', "is not valid Unicode"),
        ("a: &a [*a]", "recursive node"),
        ("!!python/object/apply:os.system ['true']", "line 1: could not determine a constructor"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(text)
    with pytest.raises(WrongUsage) as caught:
        read_fleet([str(file)])
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
    assert str(caught.value).endswith("Nothing was changed.")


def test_files_of_a_folder_are_one_document_and_no_cluster_is_in_two(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("clusters: {a: {}}")
    (tmp_path / "b.json").write_text('{"clusters": {"b": {}}}')
    (tmp_path / "notes.txt").write_text("not read")
    assert sorted(read_fleet([str(tmp_path)])) == ["a", "b"]
    (tmp_path / "c.yml").write_text("clusters: {a: {}}")
    with pytest.raises(WrongUsage, match="Cluster a is in two files"):
        read_fleet([str(tmp_path)])
    (tmp_path / "c.yml").write_text("clusters: {B: {}}")
    with pytest.raises(WrongUsage, match="Clusters b and B differ only in case"):
        read_fleet([str(tmp_path)])
    with pytest.raises(WrongUsage, match="No such file"):
        read_fleet([str(tmp_path / "nothing")])
    (tmp_path / "c.yml").unlink()
    (tmp_path / "d.yaml").symlink_to("nowhere")
    with pytest.raises(WrongUsage, match=r"d\.yaml' can't be read: No such file"):
        read_fleet([str(tmp_path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(WrongUsage, match="no file ends in"):
        read_fleet([str(tmp_path / "empty")])
    assert merged([]) == {}


def test_each_kind_of_edit_can_be_read() -> None:
    from tdc.manager.messages import edits  # noqa: PLC0415  # its table is private

    kinds = {field.name for field in fleet_pb2.Edit.DESCRIPTOR.fields}
    assert edits._READ.keys() == kinds
