"""Processes that execute commands, one for each framework.

A command is a line of JSON with the name of a method and its arguments; the answer is
also a line of JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

# Processes share a GPU, but JAX would reserve most of its memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


class Failed(RuntimeError):
    """A measurement failed, or the results differ."""


class Process:
    """A process that runs a module that calls `serve`, and waits for commands."""

    def __init__(self, module: str, *words: str) -> None:
        """Start the process."""
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps([name, *arguments]), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.process.wait()
            self.log.seek(0)
            lines = self.log.read().strip().splitlines() or ["no message"]
            raise Failed(lines[-1])
        found = json.loads(answer)
        if "failed" in found:
            raise Failed(found["failed"])
        return found

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.log.close()


def serve(start: Callable[[], Any]) -> None:
    """Call methods of the object that `start` returns; failures are answers, too.

    Answers go to the original stdout; output of the frameworks goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = start()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            found = getattr(worker, name)(*arguments)
        except Exception as error:
            traceback.print_exc()
            lines = str(error).strip().splitlines() or [type(error).__name__]
            found = {"failed": f"{type(error).__name__}: {lines[0]}"}
        print(json.dumps(found), file=answers, flush=True)
