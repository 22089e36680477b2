"""`tdc-agent` as a version before a setting was made would be: it lacks one row of the schema.

`python -m tests.stage.older_agent SETTING run --config …`
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import cast

from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.settings.schema import SCHEMA, Setting
from tdc.shared.settings.values import Value


def forget(name: str) -> None:
    """Take a setting out of this program; the rest of it keeps working, by the default."""
    rows = cast(dict[str, Setting], SCHEMA)
    row = rows.pop(name)
    assert row.default is not None
    whole = ConnectorSettings.from_values

    def from_values(values: Mapping[str, Value | None]) -> ConnectorSettings:
        rows[name] = row
        try:
            return whole({**values, name: row.default})
        finally:
            del rows[name]

    ConnectorSettings.from_values = from_values  # type: ignore[method-assign]


if __name__ == "__main__":
    forget(sys.argv[1])
    from tdc.node_agent import program  # what it imports must find the setting gone already

    program.main(sys.argv[2:])
