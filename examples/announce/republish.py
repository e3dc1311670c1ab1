"""Have the events of exports published again, for a subscriber that missed them.

    python republish.py --stack cgc-export-monitor 5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2
    python republish.py --stack cgc-export-monitor --file export-ids.txt
    python republish.py --stack cgc-export-monitor --report s3://…/groups/run-42/report.csv

The stack polls each export and publishes what it finds now, with the same `id` if the export ended in the same way; so
subscribers that had the event drop it. A report's exports get their own `context` again. No group is sent along, so
nothing counts in a group a second time. The caller needs `sqs:SendMessage` on the queue, and
`cloudformation:DescribeStacks` unless --queue-url is given.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from stack import StackError, output, read_report
from with_boto3 import Details, checked_id, send_in_tens


def start_events(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A start event with `republish` for each export, each once. Raises ValueError for an invalid id."""
    rows = read_report(options.report) if options.report else []
    lines = options.file.read_text().split() if options.file else []
    contexts = {row["export_id"]: json.loads(row["context"] or "{}") for row in rows}
    contexts |= {export_id: {} for export_id in [*options.export_ids, *lines] if export_id not in contexts}
    return [
        {"export_id": checked_id(export_id), "republish": True}
        | ({"context": context} if (context := options.context or own) else {})
        for export_id, own in contexts.items()
    ]


def send(sqs: Any, queue_url: str, ten: Details) -> Details:
    """Send up to ten start events to the queue; returns those that it did not accept."""
    entries = [{"Id": str(n), "MessageBody": json.dumps(detail)} for n, detail in enumerate(ten)]
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    return [ten[int(failed["Id"])] for failed in answer.get("Failed", [])]


def _object(text: str) -> dict[str, Any]:
    context = json.loads(text)
    if not isinstance(context, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 -- argparse's way to reject a value
    return context


def main() -> None:
    """Send the start events. Exits with 1 and the ids of the exports whose start events were not accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export_ids", nargs="*", metavar="export-id")
    parser.add_argument("--file", type=Path, help="a file of export ids")
    parser.add_argument("--report", help="a group's report.csv, a file or an s3:// address")
    parser.add_argument("--context", type=_object, metavar="JSON", help="a context for each, in place of a report's")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", help="the stack's name")
    where.add_argument("--queue-url", help="the stack's ExportQueueUrl")
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    options = parser.parse_args()
    events = start_events(options)
    if not events:
        parser.error("no exports are named: give ids, --file or --report")
    if options.dry_run:
        print(*[f"would send  {json.dumps(event)}" for event in events], sep="\n")
        return
    queue_url = options.queue_url or output(options.stack, "ExportQueueUrl")
    if refused := send_in_tens(partial(send, boto3.client("sqs"), queue_url), events):
        sys.exit(f"Not sent, run this again: {' '.join(refused)}")
    print(f"Sent {len(events)} start events. Their events follow as soon as the exports are polled.")


if __name__ == "__main__":
    try:
        main()
    except (StackError, OSError, ValueError) as error:
        sys.exit(f"Nothing was sent: {error}.")
