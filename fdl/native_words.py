"""Forward the output of compiled code, and say in one line why it aborts a process.

Runs as a program of its own next to each of several processes that have joined
(`fdl.processes.joined`), and imports nothing from fdl.
"""

import re
import sys

_FATAL = "Terminating process because the JAX distributed service detected fatal errors"

_NOISE = re.compile(
    r"\[Gloo\] Rank \d+ is connected"
    r"|[EWI]\d{4} .*(coordination_service|preemption_sync_manager|add_port)"
)
"""Lines about connections that open and close."""

_LINE = re.compile(r"[EWIF]\d{4} \d\d:\d\d:")
"""Start of a log entry; a line without it continues the previous entry."""


def explain(words: str, coordinator: str, seconds: str) -> str:
    r"""Return one line that says why JAX ended a process.

    Args:
        words: Output of JAX.
        coordinator: Address of process 0.
        seconds: Time that processes had to join.

    Example:
        >>> words = "tasks are unhealthy (stopped sending heartbeats):\n1\nThe tasks"
        >>> explain(words, "10.0.0.1:1234", "300").partition(":")[0]
        'process 1 has died, or its machine or the network has failed'
    """
    kept = (
        ": this process ends too. Saved checkpoints remain: resume with all processes, "
        "or with fewer."
    )
    silent = re.search(r"stopped sending heartbeats\):\n((\d+\n)+)", words)
    if silent is not None:
        who = ", ".join(silent[1].split())
        return f"process {who} has died, or its machine or the network has failed{kept}"
    if "RegisterTask" in words:
        return (
            f"not all processes have joined at {coordinator} within {seconds} s: start "
            "all of them, with the same coordinator and number of processes."
        )
    ended = re.search(r"first task at the barrier: (\d+)", words)
    if "Shutdown barrier" in words and ended is not None:
        return f"process {ended[1]} ended before the others{kept}"
    if "Failed to send RPC" in words:
        return (
            f"process 0, the coordinator at {coordinator}, has died, or its machine or "
            f"the network has failed{kept}"
        )
    reason = words.partition("absl::Status: ")[2].partition("\n")[0]
    return f"another process has died, according to JAX ({reason}){kept}"


def main() -> None:
    """Forward standard input until the other process ends."""
    coordinator, seconds = sys.argv[1:]
    fatal, is_noise = "", False
    for raw in sys.stdin.buffer:
        line = raw.decode(errors="replace")
        if fatal or _FATAL in line:
            fatal += line
            continue
        if _LINE.match(line) or line.startswith("[Gloo]"):
            is_noise = _NOISE.match(line) is not None
        if not is_noise:
            print(line, end="", flush=True)
        is_noise = is_noise and not line.startswith("[Gloo]")
    if fatal:
        print(f"fdl: {explain(fatal, coordinator, seconds)}", flush=True)


if __name__ == "__main__":
    main()
