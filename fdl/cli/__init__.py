"""The command line, `fdl`; `fdl --help` lists the commands."""

import time

STARTED = time.perf_counter()
"""Start time of the command, before its imports."""

from fdl.cli.signals import exit_on_signals  # noqa: E402

with exit_on_signals():  # imports take most of a short command's time
    from fdl.cli.main import main as main
