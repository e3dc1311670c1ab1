"""An execution environment of Lambda, as small as can be: imports a handler, calls it, and tells what it took.

Runs alone, by path, in a process that sees one artifact and the standard library: `python -S -P worker.py HANDLER FD`.
Orders come in as lines of JSON, each a list of events or null; a line of JSON about each goes out to the descriptor.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

_LIMIT_SECONDS = 60.0


class Context:
    """What handlers ask of Lambda's context."""

    function_name = "benchmark"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + _LIMIT_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends_at - time.monotonic()) * 1000)


def main() -> None:
    """Import the handler, then do as ordered until there are no orders."""
    module, _, name = sys.argv[1].rpartition(".")
    replies = os.fdopen(int(sys.argv[2]), "w")
    cpu, wall = time.process_time(), time.perf_counter()
    handler = getattr(importlib.import_module(module), name)
    imports = {"import_cpu": time.process_time() - cpu, "import_wall": time.perf_counter() - wall}
    for line in sys.stdin:
        json.dump(_round(handler, json.loads(line)) | imports, replies)
        replies.write("\n")
        replies.flush()


def _round(handler: Any, events: list[Any]) -> dict[str, Any]:
    """Call the handler with each event; times are in seconds, those `since_start` are the whole process's."""
    cpu, wall = time.process_time(), time.perf_counter()
    answers = [handler(event, Context()) for event in events]
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "cpu_since_start": time.process_time(),
        "ended_at": time.monotonic(),
        "peak_kb": _peak_kb(),
        "kept": sum(len(answer["batchItemFailures"]) for answer in answers),
    }


def _peak_kb() -> int:
    # Not getrusage, which remembers the process that this one was forked from.
    with open("/proc/self/status") as status:  # noqa: PTH123 -- pathlib is an import that not every handler needs
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
