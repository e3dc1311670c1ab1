"""The fewest calls that could do the same work, made with the plainest code.

Everything goes well here: there is no error, no patience and no log. It is what to measure against, not to deploy.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from . import aws

Json = dict[str, Any]

_threads = ThreadPoolExecutor(16)
_api = urlsplit(os.environ["API_BASE_URL"])
_first_bytes, _last_bytes = 4096, 38


def handler(event: Json, context: Any) -> Json:
    """Handle a batch of the queue's messages, all of which are of different exports."""
    records = {json.loads(record["body"])["export_id"]: record for record in event["Records"]}
    jobs = _bulk("/bulk/storage/exports/get", "export_ids", list(records))
    ended = [job for job in jobs if job["state"] in ("COMPLETED", "FAILED")]
    waiting = [records[job["id"]] for job in jobs if job["state"] not in ("COMPLETED", "FAILED")]
    if ended:
        _publish_once(ended, int(context.get_remaining_time_in_millis()))
    _at_once(partial(_hide, ten) for ten in _by_ten(waiting))
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in waiting]}


def _publish_once(jobs: Sequence[Json], milliseconds_left: int) -> None:
    completed = [job for job in jobs if job["state"] == "COMPLETED"]
    volumes = {name: _volume(name) for name in {job["destination"]["volume"] for job in completed}}
    reading = _threads.submit(_bulk, "/bulk/files/get", "file_ids", [job["source"]["file"] for job in completed])
    seen = _at_once(partial(_look, job, volumes[job["destination"]["volume"]]) for job in completed)
    files = {file["id"]: file for file in (reading.result() if completed else [])}
    objects = {job["id"]: found for job, found in zip(completed, seen, strict=True)}
    events = [_event(job, files.get(job["source"]["file"]), objects.get(job["id"])) for job in jobs]
    claimed = {":until": {"N": str(milliseconds_left)}}
    _transact(jobs, "SET claimed_until = :until", "attribute_not_exists(claimed_until)", claimed)
    _at_once(partial(_publish, ten) for ten in _by_ten(events))
    _transact(jobs, "SET sent = :sent REMOVE claimed_until", "attribute_exists(claimed_until)", {":sent": {"N": "1"}})


def _event(job: Json, file: Json | None, found: Json | None) -> Json:
    # An object is as it was asked for, or this is not the floor's case.
    passed = found is None or (
        file is not None
        and found["size"] == file["size"]
        and found["encryption"] == job["properties"]["sse_algorithm"]
        and found["storage_class"] == job["properties"]["aws_storage_class"]
    )
    return {"id": f"{job['id']}:{job['state']}", "export": job, "file": file, "object": found, "passed": passed}


def _look(job: Json, volume: Json) -> Json:
    path = quote(f"/{volume['bucket']}/{volume['prefix']}/{job['destination']['location']}")
    if not path.endswith(".bam"):
        headers, _ = aws.call("s3", "HEAD", path, {})
        return _object(headers, int(headers["content-length"]))
    # A first range says all that a head says.
    headers, first = aws.call("s3", "GET", path, {"range": f"bytes=0-{_first_bytes - 1}"})
    size = int(headers["content-range"].rpartition("/")[2])
    span = f"bytes={size - _last_bytes}-{size - 1}"
    _, last = aws.call("s3", "GET", path, {"range": span, "if-match": headers["etag"]})
    return _object(headers, size) | {"begins": first[:2].hex(), "ends": last.hex()}


def _object(headers: dict[str, str], size: int) -> Json:
    return {
        "size": size,
        "etag": headers["etag"],
        "last_modified": headers["last-modified"],
        "encryption": headers.get("x-amz-server-side-encryption"),
        "storage_class": headers.get("x-amz-storage-class", "STANDARD"),
    }


def _bulk(path: str, field: str, ids: Sequence[str]) -> list[Json]:
    if not ids:
        return []
    body = json.dumps({field: ids}).encode()
    return [item["resource"] for item in _ask_api("POST", path, body)["items"]]


@cache
def _volume(name: str) -> Json:
    service: Json = _ask_api("GET", f"/storage/volumes/{name}")["service"]
    return service


def _ask_api(method: str, path: str, body: bytes = b"") -> Json:
    headers = {"X-SBG-Auth-Token": _token(), "Content-Type": "application/json"}
    answer: Json = json.loads(aws.send(_api.netloc, method, _api.path + path, headers, body)[1])
    return answer


@cache
def _token() -> str:
    secret = {"SecretId": os.environ["TOKEN_SECRET_ARN"]}
    return str(_json_call("secretsmanager", "secretsmanager.GetSecretValue", secret)["SecretString"])


def _transact(jobs: Sequence[Json], update: str, condition: str, values: Json) -> None:
    table = os.environ["LEDGER_TABLE_NAME"]
    items = [
        {
            "Update": {
                "TableName": table,
                "Key": {"export_id": {"S": job["id"]}},
                "UpdateExpression": update,
                "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }
        }
        for job in jobs
    ]
    _json_call("dynamodb", "DynamoDB_20120810.TransactWriteItems", {"TransactItems": items})


def _publish(events: Sequence[Json]) -> None:
    form = {"Action": "PublishBatch", "Version": "2010-03-31", "TopicArn": os.environ["EXPORT_EVENTS_TOPIC_ARN"]}
    for number, event in enumerate(events, start=1):
        entry = f"PublishBatchRequestEntries.member.{number}"
        form |= {f"{entry}.Id": str(number), f"{entry}.Message": json.dumps(event)}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    aws.call("sns", "POST", "/", headers, urlencode(form).encode())


def _hide(records: Sequence[Json]) -> None:
    entries = [
        {"Id": str(number), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": 90}
        for number, record in enumerate(records)
    ]
    asked = {"QueueUrl": os.environ["EXPORT_QUEUE_URL"], "Entries": entries}
    _json_call("sqs", "AmazonSQS.ChangeMessageVisibilityBatch", asked)


def _json_call(service: str, target: str, asked: Json) -> Json:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": target}
    answer: Json = json.loads(aws.call(service, "POST", "/", headers, json.dumps(asked).encode())[1])
    return answer


def _by_ten(things: Sequence[Json]) -> Iterable[Sequence[Json]]:
    return (things[start : start + 10] for start in range(0, len(things), 10))


def _at_once(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    return [future.result() for future in [_threads.submit(call) for call in calls]]
