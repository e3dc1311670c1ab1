"""The HTTP API of the simulated platform: the part of the Seven Bridges API v2 for exports.

with serve(Platform("a token")) as base_url:
    Api(url=base_url, token="a token", debug=True).exports.get(…)
"""

from collections.abc import Iterator
from contextlib import contextmanager

from local.api_routes import ROOT, answer
from local.loopback import Loopback, serving
from local.simulated_platform import Platform


@contextmanager
def serve(platform: Platform, port: int = 0) -> Iterator[str]:
    """Serve the platform on loopback within the context; yields the base URL without a trailing slash. Port 0: any."""
    server = Loopback(lambda request: answer(platform, request, f"http://{server.address}{ROOT}"), port)
    with serving(server) as url:
        yield f"{url}{ROOT}"
