"""Starting a program whose libraries come with an extra of the distribution.

The distribution has all our programs; an extra (``agent``, ``manager``, ``cli``) brings the
libraries of one. Whoever starts a program without its extra is told so in a sentence. gRPC's
library is kept from writing lines of its own between ours, unless GRPC_VERBOSITY asks for them.
"""

from __future__ import annotations

import importlib
import os
import sys


def start(program: str, module: str, extra: str) -> None:
    """Run ``main()`` of `module`; ends by SystemExit, with 1 where a library is not installed."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is first imported
    try:
        main = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        if (error.name or "tdc").partition(".")[0] == "tdc":
            raise  # part of the distribution itself: a fault of ours, not a missing extra
        sys.exit(
            f"{program}: {error}: {program} is here without its libraries. Install them: "
            f"pip install 'threat-defense-connector[{extra}]'"
        )
    main()
