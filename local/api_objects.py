"""Volumes, files and tasks as the API shows them, in the shape of the vendor's examples.

Sources: https://docs.cancergenomicscloud.org/docs/get-details-of-a-volume-v2, …/docs/get-file-details and
 …/docs/get-task-details; the official client shows what a task's outputs look like (`models/compound/tasks`).
"""

from collections.abc import Mapping
from typing import Any


def s3_volume(name: str, bucket: str, prefix: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A volume on S3 named ``owner/name``; `changes` override its fields, `service` entry by entry."""
    service: dict[str, Any] = {
        "type": "s3",
        "bucket": bucket,
        "prefix": prefix,
        "endpoint": "s3.amazonaws.com",
        "credentials": {"access_key_id": "AKIASIMULATED"},
        "properties": {"sse_algorithm": "AES256"},
    }
    body: dict[str, Any] = {
        "id": name,
        "name": name.rpartition("/")[2],
        "access_mode": "RW",
        "created_on": "2016-06-01T09:00:00Z",
        "modified_on": "2016-06-01T09:00:00Z",
        "active": True,
    }
    return {**body, **changes, "service": {**service, **changes.get("service", {})}}


def project_file(file_id: str, name: str, size: int, project: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A file of `size` bytes stored by the platform itself; `changes` override its fields."""
    body: dict[str, Any] = {
        "id": file_id,
        "name": name,
        "size": size,
        "project": project,
        "created_on": "2016-06-15T08:00:00Z",
        "modified_on": "2016-06-15T08:00:00Z",
        "storage": {"type": "PLATFORM", "hosted_on_locations": ["aws:us-east-1"]},
        "origin": {},
        "tags": [],
        "metadata": {},
    }
    return {**body, **changes}


def finished_task(task_id: str, outputs: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A COMPLETED task; `changes` override its fields."""
    body: dict[str, Any] = {
        "id": task_id,
        "name": task_id,
        "project": "rfranklin/my-project",
        "status": "COMPLETED",
        "batch": False,
        "inputs": {},
        "outputs": dict(outputs),
    }
    return {**body, **changes}
