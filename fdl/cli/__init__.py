"""The command line: `fdl train`, `fdl eval`, `fdl predict`, `fdl tasks`, `fdl data`."""

import time

STARTED = time.perf_counter()
"""When the command began, before its imports."""

from fdl.cli.signals import exit_on_signals  # noqa: E402

with exit_on_signals():  # these imports take most of a short command's time
    from fdl.cli.main import main as main
