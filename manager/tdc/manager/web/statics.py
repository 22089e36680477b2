"""The console's own files: style, script, icon. Each has the hash of its content in its name.

So a browser may keep them for good, and a new version of the manager is seen at once.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from tdc.manager.web.answers import File
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import Refused
from tdc.manager.web.headers import FOR_GOOD

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
          ".svg": "image/svg+xml"}  # fmt: skip


class Statics:
    """The files, read once."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._names: dict[str, str] = {}
        folder = resources.files("tdc.manager.web") / "static"
        for each in folder.iterdir():
            stem, dot, ending = each.name.rpartition(".")
            kind = _KINDS.get(dot + ending)
            if kind is None:
                continue
            content = each.read_bytes()
            name = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{ending}"
            self._names[each.name] = f"/static/{name}"
            self._files[name] = File(content, kind, {"cache-control": FOR_GOOD})

    def address(self, name: str) -> str:
        """Where a file is, by its plain name; KeyError for none."""
        return self._names[name]

    async def serve(self, call: Call) -> File:
        """Serve one; raises Refused."""
        try:
            return self._files[call.path["name"]]
        except KeyError:
            raise Refused(404, "unknown", "There is no such file.") from None


STATICS = Statics()
