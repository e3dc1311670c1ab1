"""A stand-in for S3 in its own process: one object, a latency before each first byte, a bandwidth per connection."""

import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

FIRST_BYTE_SECONDS = 0.03
BYTES_PER_SECOND = 60_000_000
_PIECE_BYTES = 256 << 10


class RangeServer:
    """The server process of a file; `address` is `host:port`."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.range_server", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 -- ours
        self.address = (self._process.stdout.readline() if self._process.stdout else "").strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The process ends when its input is closed.
        self._process.communicate(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    """Answers ranged GETs; whatever is asked for is the one object."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        if not asked:
            raise ValueError(self.headers["Range"])
        first, last = map(int, asked.groups())
        time.sleep(FIRST_BYTE_SECONDS)
        self.send_response(206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.content)}")
        self.end_headers()
        started_at = time.monotonic()
        rest = memoryview(self.content)[first : last + 1]
        for at in range(0, len(rest), _PIECE_BYTES):
            time.sleep(max(0.0, started_at + at / BYTES_PER_SECOND - time.monotonic()))
            self.wfile.write(rest[at : at + _PIECE_BYTES])

    def log_message(self, *_: object) -> None:
        """Write no line for each request."""


def _serve(path: Path) -> None:
    _Handler.content = path.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("{}:{}".format(*server.server_address), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
