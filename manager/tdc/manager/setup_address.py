"""The one-use address by which the first user of the console is made.

In: the data folder. Out: ``setup.json`` in it, which keeps the hash of the address's key and its
end. The key itself is printed once, and kept nowhere.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tdc.manager.intent.first_user import LASTS, SetupKey, key_id
from tdc.manager.options import Options
from tdc.manager.web.served import console_address
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import wall

FILE = "setup.json"


def offered(options: Options) -> str:
    """Make a set-up address; empty where there is no console. Raises NotWritten.

    Where the system chooses the port, it stands for itself in words.
    """
    if options.console_port is None:
        return ""
    key = secrets.token_urlsafe(24)
    content = json.dumps({"id": key_id(key), "ends": wall() + LASTS})
    durable_file.write(options.folder / FILE, content.encode() + b"\n")
    at = console_address(options, options.console_port)
    if options.console_port == 0:
        at = at.replace(":0/", ":PORT/")
    return f"{at}setup?key={key}"


def kept(folder: Path) -> SetupKey | None:
    """What is kept of the last address; None if there is nothing that can be read."""
    try:
        content = json.loads(durable_file.read(folder / FILE))
        return SetupKey(str(content["id"]), float(content["ends"]))
    except (durable_file.NotReadable, ValueError, LookupError, TypeError):
        return None
