"""A minimal Lambda execution environment: imports a handler, calls it and reports its time and memory.

Runs by path in a process that sees one artifact and the standard library: `python -S -P worker.py HANDLER FD`. Each
line of input is a JSON list of events; for each, it writes a line of JSON to the file descriptor.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

_LIMIT_SECONDS = 60.0


class Context:
    """The parts of Lambda's context that handlers use."""

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
    """Import the handler, then call it for each line of input."""
    # Pauses until a common instant are no work of a round.
    time.sleep = lambda _: None
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
    """Call the handler with each event; times are in seconds, `since_start` means since the process started."""
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
    # Not getrusage, which includes the parent process before the fork.
    with open("/proc/self/status") as status:  # noqa: PTH123 -- importing pathlib would add to the handler's memory
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
