"""Runs an example and kills it (SIGKILL) after its nth step, which is a sync of the journal or a POST request.

python killing.py N SCRIPT ARGUMENTS…
"""

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import requests
from botocore.httpsession import URLLib3Session

left = int(sys.argv[1])


def step() -> None:
    global left  # noqa: PLW0603 -- counts for the whole process
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def counted(original: Any, *, is_step: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        answer = original(*arguments, **options)
        if is_step(arguments):
            step()
        return answer

    return call


os.fsync = counted(os.fsync, is_step=lambda _: True)
requests.Session.send = counted(requests.Session.send, is_step=lambda given: given[1].method == "POST")  # type: ignore[method-assign]
URLLib3Session.send = counted(URLLib3Session.send, is_step=lambda given: given[1].method == "POST")  # type: ignore[method-assign]
sys.argv = sys.argv[2:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
import bulk_start  # noqa: E402 -- found by the path set above

bulk_start.PER_REQUEST = 2  # several requests for a few files
runpy.run_path(sys.argv[0], run_name="__main__")
