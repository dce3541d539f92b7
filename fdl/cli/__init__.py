"""The command line: `fdl train`, `fdl eval`, `fdl predict`, `fdl tasks`, `fdl data`."""

import time

STARTED = time.perf_counter()
"""When the command began, before its imports."""

from fdl.cli.main import main as main  # noqa: E402
