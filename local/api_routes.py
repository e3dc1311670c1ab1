"""The simulated API's responses: paths, bodies and errors, without sockets.

A planned fault applies first, then the path, the token and the rate limit are checked. Paths and their shapes:
 https://docs.cancergenomicscloud.org/reference/the-cgc-api and …/reference/bulk-features-overview
"""

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlencode

from local import faults
from local.http_messages import Reply, Request, json_reply
from local.simulated_platform import ApiError, LoggedRequest, Platform

Handler = Callable[..., Reply]
Found = TypeVar("Found")

ROOT = "/v2"
_LIMIT = 100  # items per bulk call and per page


@dataclass(frozen=True)
class Call:
    """A request to a platform at `base_url`."""

    platform: Platform
    request: Request
    base_url: str

    @property
    def path(self) -> str:
        """The path below the root as sent; empty if it is outside."""
        path = self.request.path
        return path.removeprefix(ROOT) if path.startswith(f"{ROOT}/") else ""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.request.query)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in a bulk read."""
        asked = self.request.body.get("export_ids", self.request.body.get("file_ids"))
        return tuple(map(str, asked)) if isinstance(asked, list) else ()

    def href(self, path: str) -> str:
        return self.base_url + path


def answer(platform: Platform, request: Request, base_url: str) -> Reply:
    """Answer a request from the platform's current state, and log it."""
    with platform.lock:
        call = Call(platform, request, base_url)
        fault = platform.fault_for(faults.Call("api", request.method, call.path, call.ids))
        token_was_right = request.headers.get("x-sbg-auth-token") in platform.tokens
        # The limit is per user: requests with an unknown token do not count.
        within_rate = platform.rate.count(platform.clock()) if token_was_right else True

        def ask(asked: Request) -> Reply:
            return _checked_reply(
                replace(call, request=asked), token_was_right=token_was_right, within_rate=within_rate
            )

        reply = _with_usual_headers(platform, fault.meet(request, ask) if fault else ask(request))
        platform.log(_logged(call, reply, token_was_right=token_was_right))
        return reply


def _with_usual_headers(platform: Platform, reply: Reply) -> Reply:
    """The reply with the usual headers, unless it sets them itself."""
    usual = {"X-Request-Id": secrets.token_hex(16), **platform.rate.headers(platform.clock())}
    own = {name.lower() for name in reply.headers}
    return replace(reply, headers={**{k: v for k, v in usual.items() if k.lower() not in own}, **reply.headers})


def _logged(call: Call, reply: Reply, *, token_was_right: bool) -> LoggedRequest:
    return LoggedRequest(
        at=call.platform.clock(),
        method=call.request.method,
        path=call.path,
        query={name: tuple(values) for name, values in call.query.items()},
        header_names=frozenset(call.request.headers),
        token_was_right=token_was_right,
        ids=call.ids,
        status=None if isinstance(reply.wire, faults.Close | faults.Raw) else reply.status,
    )


def _checked_reply(call: Call, *, token_was_right: bool, within_rate: bool) -> Reply:
    try:
        handler = _route(call)
        if handler is None:
            # The gateway's response, not the API's: no code, and a status in words.
            return json_reply(404, {"status": "NOT_FOUND", "message": "HTTP 404 Not Found"})
        if not token_was_right:
            raise ApiError(401, 90001, "Unauthorized.")  # noqa: TRY301 -- handled like all refusals below
        if not within_rate:
            raise ApiError(429, 1000, "Too many requests.")  # noqa: TRY301 -- likewise
        return handler()
    except ApiError as refused:
        return json_reply(refused.status, refused.body)


def _route(call: Call) -> Callable[[], Reply] | None:
    """The handler of the call; None for an unknown path. Raises ApiError for a known path with another method."""
    path = unquote(call.path)
    if path.startswith("/bulk/") and not call.platform.bulk_enabled:
        return None
    found = [(method, handler, match) for method, pattern, handler in _ROUTES if (match := re.fullmatch(pattern, path))]
    for method, handler, match in found:
        if method == call.request.method:
            return lambda: handler(call, *match.groups())
    if found:
        raise ApiError(405, 90006, "Method not allowed.")
    return None


def _show_export(call: Call, export_id: str) -> dict[str, Any]:
    job = call.platform.job(export_id)
    return call.platform.show(job, call.href(f"/storage/exports/{job.id}"))


def _show_file(call: Call, file_id: str) -> dict[str, Any]:
    return {"href": call.href(f"/files/{file_id}"), **call.platform.file(file_id)}


def _export(call: Call, export_id: str) -> Reply:
    return json_reply(200, _show_export(call, export_id))


def _file(call: Call, file_id: str) -> Reply:
    return json_reply(200, _show_file(call, file_id))


def _volume(call: Call, name: str) -> Reply:
    return json_reply(200, {"href": call.href(f"/storage/volumes/{name}"), **call.platform.volume(name)})


def _copy_only(call: Call) -> bool:
    return call.query.get("copy_only", [""])[0].lower() == "true"


def _started(call: Call) -> Reply:
    return json_reply(200, _start_one(call, call.request.body))


def _start_one(call: Call, submission: Any) -> dict[str, Any]:
    return _show_export(call, call.platform.start(submission, copy_only=_copy_only(call)).id)


def _task(call: Call, task_id: str) -> Reply:
    return json_reply(200, {"href": call.href(f"/tasks/{task_id}"), **call.platform.task(task_id)})


def _exports(call: Call) -> Reply:
    states = [state for value in call.query.get("state", []) for state in value.split(",")]
    found = call.platform.jobs(call.query.get("volume", [None])[0], states)
    return _page(call, found, lambda job: _show_export(call, job.id), ("href", "id", "state"))


def _files(call: Call) -> Reply:
    project, parent = (call.query.get(name, [None])[0] for name in ("project", "parent"))
    if (project is None) == (parent is None):
        raise ApiError(400, 90000, "Either project or parent is needed.")
    found = call.platform.files_in(project, parent)
    return _page(
        call, found, lambda file_id: _show_file(call, file_id), ("href", "id", "name", "project", "parent", "type")
    )


def _page(call: Call, found: Sequence[Found], show: Callable[[Found], dict[str, Any]], brief: Sequence[str]) -> Reply:
    """A page of results with only the `brief` fields, unless `fields=_all`."""
    limit = min(_number(call, "limit", 50, range(1, _LIMIT + 1)), call.platform.page_limit)
    offset = _number(call, "offset", 0, range(10**9))
    items = [show(one) for one in found[offset : offset + limit]]
    if call.query.get("fields") != ["_all"]:
        items = [{name: item[name] for name in brief if name in item} for item in items]
    links = []
    if offset + limit < len(found):
        links.append(_link(call, "next", offset + limit, limit))
    if offset:
        links.append(_link(call, "prev", max(0, offset - limit), limit))
    body = {"href": call.href(f"{call.path}?{call.request.query}".rstrip("?")), "items": items, "links": links}
    return json_reply(200, body, **{"X-Total-Matching-Query": str(len(found))})


def _link(call: Call, rel: str, offset: int, limit: int) -> dict[str, str]:
    query = urlencode(call.query | {"offset": offset, "limit": limit}, doseq=True)
    return {"href": call.href(f"{call.path}?{query}"), "rel": rel, "method": "GET"}


def _number(call: Call, name: str, default: int, allowed: range) -> int:
    value = call.query.get(name, [str(default)])[0]
    if not value.isdecimal() or int(value) not in allowed:
        raise ApiError(400, 90000, f"{name} is out of range.")
    return int(value)


def _bulk(field: str, read: Callable[[Call, Any], dict[str, Any]]) -> Handler:
    """A bulk call over the list in `field` of the body; a refused item does not affect the others."""

    def item(call: Call, asked: Any) -> dict[str, Any]:
        try:
            return {"resource": read(call, asked)}
        except ApiError as refused:
            return {"error": refused.body}

    def handler(call: Call) -> Reply:
        asked = call.request.body.get(field)
        if not isinstance(asked, list) or len(asked) > _LIMIT:
            raise ApiError(400, 90000, f"{field} must be a list of at most {_LIMIT} items.")
        return json_reply(200, {"items": [item(call, one) for one in asked]})

    return handler


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", r"/storage/exports", _exports),
    ("POST", r"/storage/exports", _started),
    ("GET", r"/storage/exports/([^/]+)", _export),
    ("POST", r"/bulk/storage/exports/create", _bulk("items", _start_one)),
    ("POST", r"/bulk/storage/exports/get", _bulk("export_ids", _show_export)),
    ("GET", r"/storage/volumes/([^/]+/[^/]+)", _volume),
    ("GET", r"/tasks/([^/]+)", _task),
    ("GET", r"/files", _files),
    ("GET", r"/files/([^/]+)", _file),
    ("POST", r"/bulk/files/get", _bulk("file_ids", _show_file)),
)
