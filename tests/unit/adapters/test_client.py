"""The API client: what is asked, how often, and what an answer is taken for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from export_monitor.adapters.aws.secrets import TokenUnavailableError
from export_monitor.adapters.sevenbridges.client import CgcApi
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.session import ApiSession
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse, TransportError
from export_monitor.domain.model import Denial, Denied, ExportJob, JobAnswer, SourceFile, Unavailable, Volume
from export_monitor.domain.unexpected import Unexpected
from tests.fakes import Clock, FakeTransport, RecordingReporter, response_of

BASE = "https://cgc-api.sbgenomics.com/v2"
BULK = "POST /bulk/storage/exports/get"
NOT_FOUND = {"status": 404, "code": 9008, "message": "Job not found."}
NOT_YOURS = {"status": 403, "code": "9005", "message": "Not yours.", "more_info": "http://docs/9005"}
NO_SUCH_PATH = {"status": "NOT_FOUND", "message": "HTTP 404 Not Found"}
NOW = 1_700_000_000.0


@dataclass
class FakeToken:
    """Tokens, the one after the other as they are read again; then none is left."""

    tokens: list[str] = field(default_factory=lambda: ["t0ken"])
    read_afresh: int = 0

    def get(self) -> str:
        if not self.tokens:
            raise TokenUnavailableError("the secret cannot be read: AccessDeniedException")
        return self.tokens[0]

    def refresh(self) -> str:
        self.read_afresh += 1
        if len(self.tokens) > 1:
            del self.tokens[0]
        return self.get()


@dataclass
class Talk:
    """A client whose API is a function, with everything that it is held against."""

    answer: Callable[[HttpRequest], HttpResponse]
    share: int = 50
    token: FakeToken = field(default_factory=FakeToken)
    clock: Clock = field(default_factory=lambda: Clock(NOW))
    report: RecordingReporter = field(default_factory=RecordingReporter)
    time_left: float = 45.0

    def __post_init__(self) -> None:
        self.transport = FakeTransport(lambda request: self.answer(request))  # noqa: PLW0108 -- it may be exchanged
        rate_limiter = RateLimiter(self.share, self.clock)
        session = ApiSession(BASE, self.transport, self.token, rate_limiter, self.report.count, self.clock)
        self.api = CgcApi(session, self.clock)

    def jobs(self, *export_ids: str) -> dict[str, Any]:
        return self.api.read_jobs(export_ids, lambda: self.time_left)

    def files(self, *file_ids: str) -> dict[str, Any]:
        return self.api.read_files(file_ids, lambda: self.time_left)

    def volume(self, name: str = "rfranklin/output") -> Any:
        return self.api.read_volume(name, lambda: self.time_left)

    def without_bulk(self) -> "Talk":
        """The same, after the platform has answered that it has no bulk paths."""
        answer, self.answer = self.answer, always(404, NO_SUCH_PATH)
        self.jobs("an-export", "another")
        self.transport.requests.clear()
        self.report.counts.clear()
        self.answer = answer
        return self

    @property
    def asked(self) -> list[str]:
        return self.transport.asked


def job(export_id: str, state: str = "RUNNING") -> dict[str, Any]:
    return {"id": export_id, "state": state}


def resources(*export_ids: str) -> list[dict[str, Any]]:
    return [{"resource": job(export_id)} for export_id in export_ids]


def earnest(request: HttpRequest) -> HttpResponse:
    """An API that knows every export."""
    if request.json:
        return response_of(200, {"items": resources(*request.json["export_ids"])})
    return response_of(200, job(request.url.rpartition("/")[2]))


def always(
    status: int, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None
) -> Callable[[HttpRequest], HttpResponse]:
    return lambda request: response_of(status, body, headers)


def in_turn(*answers: HttpResponse) -> Callable[[HttpRequest], HttpResponse]:
    waiting = iter(answers)
    return lambda request: next(waiting)


def bulk_of(
    items: Sequence[Any], single: Callable[[HttpRequest], HttpResponse] = earnest
) -> Callable[[HttpRequest], HttpResponse]:
    """An API whose bulk answer has these items; single reads are answered by `single`."""
    return lambda request: response_of(200, {"items": items}) if request.json else single(request)


def silent(*, timed_out: bool) -> Callable[[HttpRequest], HttpResponse]:
    def answer(_: HttpRequest) -> HttpResponse:
        raise TransportError(
            "no answer in time" if timed_out else "the connection failed (ConnectionError)", timed_out=timed_out
        )

    return answer


class TestSingleRead:
    def test_one_export_is_read_by_its_path_with_the_token_in_its_header(self) -> None:
        talk = Talk(earnest)
        assert talk.jobs("a") == {"a": ExportJob("a", "RUNNING", job("a"))}
        [request] = talk.transport.requests
        assert request == HttpRequest(
            "GET",
            f"{BASE}/storage/exports/a",
            {"X-SBG-Auth-Token": "t0ken", "Content-Type": "application/json"},
        )

    @pytest.mark.parametrize("status", [200, 201, 400, 403, 404, 409, 418])
    def test_whatever_has_id_and_state_is_a_job(self, status: int) -> None:
        failed = job("a", "FAILED") | {"error": {"status": 409, "code": 9107, "message": "…"}}
        talk = Talk(always(status, failed))
        assert talk.jobs("a") == {"a": ExportJob("a", "FAILED", failed, error=failed["error"])}

    @pytest.mark.parametrize(("status", "denial"), [(404, Denial.NOT_FOUND), (403, Denial.FORBIDDEN)])
    @pytest.mark.parametrize("code", [9008, "9008", 0])
    def test_refusal_with_the_api_s_own_code_is_an_answer(self, status: int, denial: Denial, code: object) -> None:
        talk = Talk(always(status, {"status": status, "code": code, "message": "No."}))
        assert talk.jobs("a") == {"a": Denied(denial, "No.", int(str(code)), status)}
        assert not talk.report.counts

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (404, NO_SUCH_PATH),
            (404, b"<html>404</html>"),
            (403, b"<html>forbidden by a proxy</html>"),
            (403, {"message": "Forbidden"}),
            (400, {"status": 400, "code": 90000, "message": "Bad."}),
            (409, {"status": 409, "code": 90007, "message": "Conflict."}),
            (500, {"status": 500, "code": 90004, "message": "Unexpected."}),
            (500, job("a", "FAILED")),
            (503, {"status": 503, "code": 0, "message": "Maintenance."}),
            (502, b"<html>502</html>"),
            (200, b"<html>sign in</html>"),
            (200, b'{"id": "a", "state": "COMPL'),
            (200, b"[]"),
            (200, b""),
            (200, {}),
            (200, job("another", "COMPLETED")),
            (302, b""),
            (301, job("a", "COMPLETED")),
            (204, b""),
        ],
    )
    def test_answer_that_is_not_the_api_s_own_is_asked_again_later(self, status: int, body: Any) -> None:
        talk = Talk(always(status, body))
        [unavailable] = talk.jobs("a").values()
        assert isinstance(unavailable, Unavailable)
        assert unavailable.retry_after_seconds is None
        assert not unavailable.not_attempted
        assert str(status) in unavailable.message
        assert talk.report.counts == {"ApiErrors": 1}

    def test_error_of_the_api_s_own_has_its_code_and_words(self) -> None:
        talk = Talk(always(400, {"status": 400, "code": 90000, "message": "Bad request."}))
        assert "90000" in talk.jobs("a")["a"].message
        assert "Bad request." in talk.jobs("a")["a"].message

    def test_broken_connection_does_not_keep_the_next_export_from_being_asked(self) -> None:
        talk = Talk(silent(timed_out=False)).without_bulk()
        answers = talk.jobs("a", "b")
        assert talk.asked == ["GET /storage/exports/a", "GET /storage/exports/b"]
        assert all(isinstance(one, Unavailable) and not one.not_attempted for one in answers.values())
        assert talk.report.counts == {"ApiErrors": 2}

    def test_api_that_hangs_is_waited_for_once_a_batch(self) -> None:
        talk = Talk(silent(timed_out=True)).without_bulk()
        answers = talk.jobs("a", "b", "c")
        assert talk.asked == ["GET /storage/exports/a"]
        assert set(answers) == {"a", "b", "c"}
        assert all(isinstance(one, Unavailable) for one in answers.values())

    def test_nothing_is_asked_when_the_invocation_s_time_is_up(self) -> None:
        talk = Talk(earnest, time_left=0.4)
        assert talk.jobs("a")["a"].not_attempted
        assert talk.asked == []
        talk.time_left = -3
        assert talk.jobs("a")["a"].not_attempted

    def test_call_takes_no_longer_than_what_is_left(self) -> None:
        talk = Talk(earnest, time_left=3.0)
        talk.jobs("a")
        talk.time_left = 45.0
        talk.jobs("a")
        assert talk.transport.limits == [3.0, 10.0]


class TestBulkRead:
    def test_several_exports_are_read_with_one_request(self) -> None:
        talk = Talk(earnest)
        answers = talk.jobs("a", "b", "c")
        assert {export_id: answer.state for export_id, answer in answers.items()} == dict.fromkeys("abc", "RUNNING")
        assert talk.asked == [BULK]
        assert talk.transport.requests[0].json == {"export_ids": ["a", "b", "c"]}
        assert talk.transport.requests[0].headers["X-SBG-Auth-Token"] == "t0ken"

    def test_request_takes_a_hundred_ids_at_most(self) -> None:
        talk = Talk(earnest)
        export_ids = [f"export-{number}" for number in range(201)]
        assert list(talk.jobs(*export_ids)) == export_ids
        assert talk.asked == [BULK, BULK, "GET /storage/exports/export-200"]
        assert [len(one.json["export_ids"]) for one in talk.transport.requests[:2]] == [100, 100]

    def test_items_are_matched_by_their_id_in_whatever_order(self) -> None:
        states = {"a": "RUNNING", "b": "COMPLETED", "c": "FAILED"}
        items = [{"resource": job(export_id, states[export_id])} for export_id in "cab"]
        talk = Talk(bulk_of(items))
        assert {export_id: answer.state for export_id, answer in talk.jobs(*"abc").items()} == states
        assert talk.asked == [BULK]

    def test_export_that_the_answer_lacks_is_asked_later(self) -> None:
        talk = Talk(bulk_of(resources("b")))
        answers = talk.jobs("a", "b")
        assert isinstance(answers["a"], Unavailable)
        assert isinstance(answers["b"], ExportJob)
        assert talk.asked == [BULK]

    def test_another_export_s_body_is_nobody_s_answer(self) -> None:
        talk = Talk(bulk_of([{"resource": job("stranger", "COMPLETED")}] * 2))
        assert all(isinstance(one, Unavailable) for one in talk.jobs("a", "b").values())
        assert talk.asked == [BULK]

    @pytest.mark.parametrize(
        ("items", "single", "answer"),
        [
            ("a?", always(404, NOT_FOUND), Denied(Denial.NOT_FOUND, "Job not found.", 9008, 404)),
            # It stands elsewhere, so it is asked of the export without an answer.
            ("?a", always(404, NOT_FOUND), Denied(Denial.NOT_FOUND, "Job not found.", 9008, 404)),
            ("a?", always(403, NOT_YOURS), Denied(Denial.FORBIDDEN, "Not yours.", 9005, 403, "http://docs/9005")),
            # Not confirmed, it ends nothing.
            ("a?", earnest, ExportJob("b", "RUNNING", job("b"))),
        ],
    )
    def test_error_item_is_confirmed_by_a_single_read_whose_code_counts(
        self, items: str, single: Callable[[HttpRequest], HttpResponse], answer: JobAnswer
    ) -> None:
        talk = Talk(bulk_of([{"resource": job("a")} if one == "a" else {"error": NOT_FOUND} for one in items], single))
        assert talk.jobs("a", "b") == {"a": ExportJob("a", "RUNNING", job("a")), "b": answer}
        assert talk.asked == [BULK, "GET /storage/exports/b"]

    def test_no_more_single_reads_are_made_than_there_are_error_items(self) -> None:
        talk = Talk(bulk_of([{"error": NOT_FOUND}], always(404, NOT_FOUND)))
        answers = talk.jobs("a", "b", "c")
        assert talk.asked == [BULK, "GET /storage/exports/a"]
        assert isinstance(answers["b"], Unavailable)
        assert isinstance(answers["c"], Unavailable)

    @pytest.mark.parametrize(
        "item",
        [None, 7, "x", [], {}, {"resource": None}, {"resource": [job("a")]}, {"resource": {"id": "a"}}, {"error": {}}],
    )
    def test_item_of_another_shape_is_no_answer(self, item: Any) -> None:
        talk = Talk(bulk_of([item, {"resource": job("b")}]))
        answers = talk.jobs("a", "b")
        assert isinstance(answers["a"], Unavailable)
        assert isinstance(answers["b"], ExportJob)

    @pytest.mark.parametrize("status", [404, 405])
    def test_platform_without_the_bulk_path_is_read_singly_for_an_hour(self, status: int) -> None:
        talk = Talk(lambda request: response_of(status, NO_SUCH_PATH) if request.json else earnest(request))
        singly = ["GET /storage/exports/a", "GET /storage/exports/b"]
        assert all(isinstance(one, ExportJob) for one in talk.jobs("a", "b").values())
        assert talk.asked == [BULK, *singly]
        talk.clock.advance(3599)
        talk.jobs("a", "b")
        assert talk.asked == [BULK, *singly, *singly]
        talk.clock.advance(1)
        talk.jobs("a", "b")
        assert talk.asked == [BULK, *singly, *singly, BULK, *singly]

    def test_platform_without_bulk_exports_may_have_bulk_files(self) -> None:
        talk = Talk(lambda request: response_of(404, NO_SUCH_PATH) if request.json else earnest(request))
        talk.jobs("a", "b")
        talk.answer = always(200, {"items": [{"resource": {"id": "f", "size": 1}}, {"resource": {"id": "g"}}]})
        assert talk.files("f", "g") == {"f": SourceFile("f", None, None, 1), "g": SourceFile("g", None, None, None)}
        assert talk.asked[-1] == "POST /bulk/files/get"
        assert talk.transport.requests[-1].json == {"file_ids": ["f", "g"]}

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (404, NOT_FOUND),
            (404, b"<html>404</html>"),
            (405, {"status": 405, "code": 90006, "message": "Method not allowed."}),
            (400, {"status": 400, "code": 90000, "message": "Bad."}),
            (500, NO_SUCH_PATH),
            (503, {"code": 0}),
            (200, {}),
            (200, {"items": None}),
            (200, {"items": {"resource": job("a")}}),
            (409, {"items": [{"resource": job("a")}]}),
            (200, b"<html>sign in</html>"),
        ],
    )
    def test_bulk_answer_that_is_none_is_asked_again_later_and_still_in_bulk(self, status: int, body: Any) -> None:
        talk = Talk(always(status, body))
        assert all(isinstance(one, Unavailable) and not one.not_attempted for one in talk.jobs("a", "b").values())
        assert talk.asked == [BULK]
        assert talk.report.counts == {"ApiErrors": 1}
        talk.answer = earnest
        assert all(isinstance(one, ExportJob) for one in talk.jobs("a", "b").values())
        assert talk.asked == [BULK, BULK]


class TestRateLimit:
    @pytest.mark.parametrize(
        ("reset", "wait"),
        [
            (str(NOW + 120), 120),
            (str(int((NOW + 120) * 1000)), 120),
            (str(NOW - 5), 1),
            ("0", 1),
            ("-5", 1),
            (None, 60),
            ("", 60),
            ("soon", 60),
            ("nan", 60),
            ("inf", 60),
            (str(NOW + 365 * 86400), 330),
            (str((NOW + 365 * 86400) * 1000), 330),
            ("1e300", 330),
        ],
    )
    def test_refused_worker_asks_nothing_until_the_reset(self, reset: str | None, wait: float) -> None:
        headers = {} if reset is None else {"x-ratelimit-reset": reset}
        talk = Talk(always(429, {"status": 429, "code": 1000, "message": "…"}, headers))
        # A reset that has already passed is ignored: the schedule says when to poll again.
        retry_after = None if wait == 1 else pytest.approx(wait)
        assert talk.jobs("a") == {"a": Unavailable("the API's rate limit is used up", retry_after, not_attempted=True)}
        assert talk.report.counts == {"ApiThrottles": 1}
        talk.answer = earnest
        talk.clock.advance(wait - 0.5)
        assert talk.jobs("b")["b"].not_attempted
        assert isinstance(talk.volume(), Unavailable)
        assert talk.files("f")["f"].not_attempted
        assert len(talk.asked) == 1
        talk.clock.advance(0.51)
        assert isinstance(talk.jobs("b")["b"], ExportJob)

    @pytest.mark.parametrize("bulk", [True, False])
    def test_rest_of_the_batch_waits_unasked(self, bulk: bool) -> None:
        talk = Talk(always(429, b"<html>slow down</html>", {"X-RateLimit-Reset": str(NOW + 30)}))
        if not bulk:
            talk.without_bulk()
        answers = talk.jobs("a", "b", "c")
        assert len(talk.asked) == 1
        assert all(one.retry_after_seconds == pytest.approx(30) and one.not_attempted for one in answers.values())

    @pytest.mark.parametrize("remaining", [0, 1])
    def test_last_allowed_answer_counts_and_it_alone_closes_the_way(self, remaining: int) -> None:
        headers = {"X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(NOW + 200)}
        talk = Talk(always(200, job("a"), headers))
        assert isinstance(talk.jobs("a")["a"], ExportJob)
        answer = talk.jobs("a")["a"]
        assert isinstance(answer, ExportJob) if remaining else answer.retry_after_seconds == pytest.approx(200)
        assert len(talk.asked) == 1 + remaining
        assert not talk.report.counts

    def test_worker_s_share_is_kept_over_jobs_files_and_volumes(self) -> None:
        talk = Talk(always(404, NOT_FOUND), share=3)
        assert isinstance(talk.jobs("a")["a"], Denied)
        assert isinstance(talk.files("f")["f"], Denied)
        assert isinstance(talk.volume(), Denied)
        over = talk.jobs("b")["b"]
        assert over.not_attempted
        # No reset is known, so the schedule says when to ask again.
        assert over.retry_after_seconds is None
        assert len(talk.asked) == 3
        talk.clock.advance(60)
        assert isinstance(talk.jobs("b")["b"], Denied)

    def test_those_answered_longest_ago_are_asked_first(self) -> None:
        talk = Talk(earnest, share=50).without_bulk()
        talk.jobs("a")
        talk.clock.advance(1)
        talk.jobs("b")
        asked_before = len(talk.asked)
        talk.jobs("b", "a", "c")
        assert talk.asked[asked_before:] == [f"GET /storage/exports/{export_id}" for export_id in "cab"]

    def test_number_of_remembered_answer_times_is_limited(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("export_monitor.adapters.sevenbridges.client._MAX_ANSWER_TIMES", 2)
        talk = Talk(earnest, share=50).without_bulk()
        for export_id in ("a", "b", "a", "c"):
            talk.jobs(export_id)
            talk.clock.advance(1)
        asked_before = len(talk.asked)
        talk.jobs("a", "c", "b")
        assert talk.asked[asked_before:] == [f"GET /storage/exports/{export_id}" for export_id in "bac"]

    def test_no_more_singly_read_jobs_are_asked_for_than_can_be_followed_up(self) -> None:
        talk = Talk(earnest, share=9).without_bulk()
        asked_before = len(talk.asked)
        answers = talk.api.read_jobs(["a", "b", "c"], lambda: 45.0, lambda _: 2)
        # Each of the two needs three requests, and three were used up before.
        assert [isinstance(answers[export_id], ExportJob) for export_id in "abc"] == [True, True, False]
        assert answers["c"].not_attempted
        assert len(talk.asked) == asked_before + 2

    def test_repeated_request_after_a_refused_token_counts_too(self) -> None:
        talk = Talk(always(401, {"code": 90001}), share=1)
        assert talk.jobs("a")["a"].not_attempted
        assert len(talk.asked) == 1


class TestToken:
    def test_rejected_token_is_read_again_once_and_the_request_repeated(self) -> None:
        talk = Talk(in_turn(response_of(401, {"code": 90001}), response_of(200, job("a"))))
        talk.token.tokens = ["old", "new"]
        assert isinstance(talk.jobs("a")["a"], ExportJob)
        assert [one.headers["X-SBG-Auth-Token"] for one in talk.transport.requests] == ["old", "new"]
        assert not talk.report.counts

    @pytest.mark.parametrize("body", [{"status": 401, "code": 90001, "message": "Unauthorized."}, b"<html>401</html>"])
    def test_token_that_stays_refused_is_counted_once_and_ends_the_asking(self, body: Any) -> None:
        talk = Talk(always(401, body)).without_bulk()
        answers = talk.jobs("a", "b", "c")
        assert len(talk.asked) == 2
        assert talk.token.read_afresh == 1
        assert all(one == Unavailable("the API rejects the token") for one in answers.values())
        assert talk.report.counts == {"TokenRejected": 1}

    def test_secret_that_cannot_be_read_is_a_refused_token(self) -> None:
        talk = Talk(earnest, token=FakeToken([]))
        answers = talk.jobs("a", "b")
        assert talk.asked == []
        assert all("AccessDeniedException" in one.message and not one.not_attempted for one in answers.values())
        assert talk.report.counts == {"TokenRejected": 1}

    def test_secret_that_cannot_be_read_again_is_a_rejected_token(self) -> None:
        class Emptied(FakeToken):
            def refresh(self) -> str:
                raise TokenUnavailableError("the secret contains no token")

        talk = Talk(always(401, {"code": 90001}), token=Emptied())
        assert talk.jobs("a")["a"] == Unavailable("the secret contains no token")
        assert talk.report.counts == {"TokenRejected": 1}

    @pytest.mark.parametrize("status", [400, 403, 404, 500])
    def test_token_that_the_api_repeats_is_taken_out_of_its_answer(self, status: int) -> None:
        talk = Talk(always(status, {"code": 1, "message": "who is t0ken?"}))
        assert "who is (the token)?" in repr(talk.jobs("a"))

    def test_token_that_a_job_repeats_is_taken_out_of_it(self) -> None:
        talk = Talk(always(200, {"id": "a", "state": "FAILED", "error": {"message": "t0ken"}}))
        assert talk.jobs("a")["a"].error == {"message": "(the token)"}


class TestVolumes:
    BODY: Mapping[str, Any] = {"id": "rfranklin/output", "service": {"type": "s3", "bucket": "b"}}

    def test_volume_is_read_by_owner_and_name_and_remembered_for_a_quarter_of_an_hour(self) -> None:
        talk = Talk(always(200, self.BODY))
        volume = Volume("rfranklin/output", "s3", "b", "")
        assert talk.api.cached_volume("rfranklin/output") is None
        assert talk.volume() == volume
        assert talk.asked == ["GET /storage/volumes/rfranklin/output"]
        talk.clock.advance(899)
        assert talk.api.cached_volume("rfranklin/output") == volume
        talk.clock.advance(1)
        assert talk.api.cached_volume("rfranklin/output") is None

    @pytest.mark.parametrize(
        ("status", "code", "denial"), [(404, 9007, Denial.NOT_FOUND), (403, 9020, Denial.FORBIDDEN)]
    )
    def test_refused_volume_is_an_answer_and_not_remembered(self, status: int, code: int, denial: Denial) -> None:
        talk = Talk(always(status, {"status": status, "code": code, "message": "No."}))
        assert talk.volume() == Denied(denial, "No.", code, status)
        assert talk.api.cached_volume("rfranklin/output") is None

    def test_volume_s_body_is_a_volume_only_where_the_answer_is_a_success(self) -> None:
        talk = Talk(always(404, {**self.BODY, "code": 9007, "message": "Volume not found."}))
        assert talk.volume() == Denied(Denial.NOT_FOUND, "Volume not found.", 9007, 404)


class TestFiles:
    def test_one_file_is_read_singly(self) -> None:
        body = {"id": "f", "name": "output.vcf", "project": "rfranklin/my-project", "size": 1234}
        talk = Talk(always(200, body))
        assert talk.files("f") == {"f": SourceFile("f", "output.vcf", "rfranklin/my-project", 1234)}
        assert talk.asked == ["GET /files/f"]

    def test_file_s_body_under_an_error_is_no_file(self) -> None:
        talk = Talk(always(404, {"id": "f", "size": 1234, "code": 5002, "message": "File not found."}))
        assert talk.files("f") == {"f": Denied(Denial.NOT_FOUND, "File not found.", 5002, 404)}


class TestReusedConnections:
    """A connection that the other side dropped while the worker was frozen breaks at the next request."""

    def talk(self, breaks: int, share: int = 50) -> Talk:
        left = [TransportError("the connection failed (ConnectionError)", reused=True)] * breaks

        def answer(_: HttpRequest) -> HttpResponse:
            if left:
                raise left.pop()
            return response_of(200, {"id": "an-export", "state": "RUNNING"})

        return Talk(answer, share=share)

    def test_request_is_repeated_once_on_a_new_connection(self) -> None:
        talk = self.talk(breaks=1)
        assert isinstance(talk.jobs("an-export")["an-export"], ExportJob)
        assert len(talk.transport.requests) == 2
        assert talk.report.counts == {}

    def test_repeated_request_that_breaks_too_is_no_answer(self) -> None:
        talk = self.talk(breaks=2)
        assert isinstance(talk.jobs("an-export")["an-export"], Unavailable)
        assert len(talk.transport.requests) == 2
        assert talk.report.counts == {"ApiErrors": 1}

    def test_repeated_request_counts_in_the_share_of_the_rate_limit(self) -> None:
        talk = self.talk(breaks=1, share=2)
        talk.jobs("an-export")
        assert talk.jobs("an-export")["an-export"].not_attempted
        talk = self.talk(breaks=1, share=1)
        assert isinstance(talk.jobs("an-export")["an-export"], Unavailable)
        assert len(talk.transport.requests) == 1


class TestListPages:
    """One odd item of a page must not hide the others."""

    def page(self, odd: str) -> Any:
        body = f'{{"items": [{{"id": "a", "state": "RUNNING"}}, {odd}, {{"id": "b", "state": "RUNNING"}}]}}'
        return Talk(lambda _: response_of(200, body.encode())).api.list_jobs(0, lambda: 45.0)

    @pytest.mark.parametrize("odd", ['{"id": "c", "state": "RUNNING", "x": NaN}', "1e999", '"\\udc00"', "null"])
    def test_item_that_is_not_strict_json_takes_a_place_and_hides_no_other(self, odd: str) -> None:
        page = self.page(odd)
        assert ([job.id for job in page.jobs], page.length) == (["a", "b"], 3)

    def test_page_that_no_parser_can_read_is_no_answer(self) -> None:
        assert isinstance(self.page("[" * 200_000 + "]" * 200_000), Unavailable)


class TestOddAnswers:
    """Answers that no rule covers concern the exports they are about, and no others."""

    def talk(self, *broken: str) -> Talk:
        def answer(request: HttpRequest) -> HttpResponse:
            name = request.url.rpartition("/")[2]
            if name in broken or (request.method == "POST" and "bulk" in broken):
                raise ZeroDivisionError
            if request.method == "POST":
                jobs = [{"resource": {"id": one, "state": "RUNNING"}} for one in request.json["export_ids"]]
                return response_of(200, {"items": jobs})
            return response_of(200, {"id": name, "state": "RUNNING"})

        return Talk(answer)

    def test_bulk_request_with_an_unexpected_error_is_followed_by_single_reads(self) -> None:
        answers = self.talk("bulk", "b").jobs("a", "b", "c")
        assert isinstance(answers["b"], Unexpected)
        assert isinstance(answers["a"], ExportJob)
        assert isinstance(answers["c"], ExportJob)
