"""The official client's documented way to wait for exports: `reload()` for each, in a loop.

https://github.com/sbg/sevenbridges-python, docs/quickstart.rst ('Managing imports and exports'). Written as a Lambda
handler so that it is measured like the others; one call is one iteration of the loop, without its sleep.
"""

import json
import os
from functools import cache
from typing import Any

import sevenbridges

from benchmarks import TOKEN

# The client accepts plain HTTP only with debug.
_api = sevenbridges.Api(url=os.environ["API_BASE_URL"], token=TOKEN, debug=True)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 -- called like Lambda's handlers
    """Reload each export; report those that have not ended as failures, to keep their messages."""
    unfinished = []
    for record in event["Records"]:
        export = _export(json.loads(record["body"])["export_id"])
        export.reload()
        if export.state not in ("COMPLETED", "FAILED"):
            unfinished.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": unfinished}


@cache
def _export(export_id: str) -> Any:
    return _api.exports.get(export_id)
