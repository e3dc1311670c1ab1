"""Show how far a group of exports is until its event is published, without a request to the platform.

    python follow.py run-42 --stack cgc-export-monitor

Exits with 0 if all exports completed, 1 if some failed, 3 if some had not ended in time (`incomplete`), and 2 if the
group is unknown or the command is wrong. The caller needs `lambda:InvokeFunction` and `cloudformation:DescribeStacks`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from stack import StackError, output
from with_boto3 import checked_id

EXIT_CODES = {"completed": 0, "failed": 1, "incomplete": 3}
USAGE_ERROR = 2
Status = dict[str, Any]


class UnknownGroupError(LookupError):
    """None of the group's exports was polled so far."""


def status_of(client: Any, function: str, group: str) -> Status:
    """The group's status. Raises UnknownGroupError, or RuntimeError for another error of the function."""
    request = json.dumps({"status_of": {"group": group}})
    answer = client.invoke(FunctionName=function, Payload=request)
    status: Status = json.loads(answer["Payload"].read())
    if "FunctionError" not in answer:
        return status
    if status.get("errorType") == "UnknownError":
        raise UnknownGroupError(group)
    raise RuntimeError(f"the function failed: {status.get('errorMessage')}")


def first_status(ask: Callable[[], Status], every: float, wait: float) -> Status:
    """The group's status once it is known. Raises UnknownGroupError if it is still unknown after `wait` seconds.

    Each question for an unknown group counts as an error of the function, so the pauses between them grow.
    """
    end = time.monotonic() + wait
    while True:
        try:
            return ask()
        except UnknownGroupError:
            left = end - time.monotonic()
            if left <= 0:
                raise
            time.sleep(min(every, left))
            every *= 2


def outcome(status: Status) -> str:
    """The outcome of a concluded group, as in its event."""
    if status["remaining"]:
        return "incomplete"
    return "failed" if status["failed"] else "completed"


def counts(status: Status) -> str:
    """How many exports of the group ended, and how."""
    return f"{status['completed']} completed, {status['failed']} failed, {status['remaining']} remaining"


def follow(console: Console, status: Status, ask: Callable[[], Status], every: float) -> Status:
    """Show the status until the group has concluded; a bar on a terminal, else a line for each change."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=status["group"]["size"])
        shown = ""
        while True:
            progress.update(bar, completed=status["completed"] + status["failed"], description=counts(status))
            if not console.is_terminal and counts(status) != shown:
                shown = counts(status)
                print(shown, flush=True)
            if status["concluded_at"]:
                return status
            time.sleep(every)
            status = ask()


def main() -> int:
    """Follow the group; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", type=checked_id, help="the group's id")
    parser.add_argument("--stack", required=True, help="the stack's name")
    parser.add_argument("--every", type=float, default=10, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument(
        "--wait", type=float, default=120, metavar="SECONDS", help="how long a new group may be unknown (default: 120)"
    )
    options = parser.parse_args()
    function, client = output(options.stack, "ExportMonitorFunctionArn"), boto3.client("lambda")

    def ask() -> Status:
        return status_of(client, function, options.group)

    status = follow(Console(), first_status(ask, options.every, options.wait), ask, options.every)
    print(f"{options.group}: {outcome(status)}")
    for name, address in (status["report"] or {}).items():
        if str(address).startswith("s3://"):
            print(f"report ({name}): {address}")
    return EXIT_CODES[outcome(status)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnknownGroupError as error:
        print(f"The stack knows no group {error}: none of its exports was polled so far.", file=sys.stderr)
    except (StackError, RuntimeError) as error:
        print(f"Cannot follow the group: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped. The exports and their watch go on.", file=sys.stderr)
    sys.exit(USAGE_ERROR)
