"""The simulated API as a client on loopback sees it: the official client first, then plain requests for each fault."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sevenbridges
from sevenbridges.errors import (
    Forbidden,
    NotFound,
    ServiceUnavailable,
    Unauthorized,
)
from sevenbridges.http.error_handlers import (
    maintenance_sleeper,
    rate_limit_sleeper,
)

from local.export_jobs import AT_ONCE, IN_A_FEW_SECONDS, NEVER, Job, documented_completed, documented_failed, error_body
from local.faults import Close, Drip, Hang, Match, OmittedItem, Raw, Status, Truncated, WrongJob, html_page, redirect
from local.rate_window import RateWindow
from local.simulated_api import serve
from local.simulated_platform import Platform

TOKEN = "the-right-token"
COMPLETED = "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"
FAILED = "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY"
FILE = "576159f7f53e9e1de6ae7b5f0"
VOLUME = "rfranklin/output"
JOB = Job(id="running", file=FILE, volume=VOLUME, location="output.vcf", steps=IN_A_FEW_SECONDS)


@dataclass
class Clock:
    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform(clock: Clock) -> Platform:
    platform = Platform(TOKEN, clock=clock)
    platform.add_volume(VOLUME, bucket="output-bucket", prefix="exports")
    platform.add_file(FILE, name="output.vcf", size=1234, project="rfranklin/my-project")
    platform.add_job(documented_completed(), age_seconds=10)
    platform.add_job(documented_failed(), age_seconds=10)
    return platform


@pytest.fixture
def url(platform: Platform) -> Iterator[str]:
    with serve(platform) as base_url:
        yield base_url


@pytest.fixture
def api(url: str) -> Any:
    return sevenbridges.Api(url=url, token=TOKEN, debug=True)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["X-SBG-Auth-Token"] = TOKEN
        yield session


def bulk(session: requests.Session, url: str, *export_ids: str) -> requests.Response:
    return session.post(f"{url}/bulk/storage/exports/get", json={"export_ids": export_ids}, timeout=5)


class TestOfficialClient:
    def test_documented_completed_job_is_shown_as_documented(self, api: Any) -> None:
        job = api.exports.get(COMPLETED)
        assert (job.state, job.source.id, job.destination.volume, job.destination.location) == (
            "COMPLETED",
            FILE,
            VOLUME,
            "output.vcf",
        )
        assert (job.started_on.isoformat(), job.finished_on.isoformat()) == (
            "2016-06-15T19:17:39",
            "2016-06-15T19:17:41",
        )
        assert job.properties["aws_canned_acl"] == "public-read"
        assert job.overwrite is False

    def test_documented_failed_job_is_no_http_error_and_carries_its_own(self, api: Any) -> None:
        job = api.exports.get(FAILED)
        assert (job.state, job.error.status, job.error.code) == ("FAILED", 409, 9107)
        assert job.error.more_info.endswith("#9107")
        assert (job.source.id, job.destination.location) == ("57679b78f5b039a7e7fde6a9", "_4_s3_file.jpg")
        assert job.started_on.isoformat() == job.finished_on.isoformat() == "2016-06-22T13:38:57"
        assert (job.properties["sse_algorithm"], job.properties["aws_canned_acl"]) == ("AES256", "public-read")
        assert job.properties["sse_aws_kms_key_id"] == "1234ab56-78d9-10a1-1d23-cc391dc099b"

    def test_reload_follows_the_href_of_the_job_and_sees_its_next_state(
        self, api: Any, platform: Platform, clock: Clock
    ) -> None:
        platform.add_job(JOB)
        job = api.exports.get(JOB.id)
        states = [job.state]
        for _ in range(2):
            clock.now += 2
            states.append(job.reload().state)
        assert states == ["PENDING", "RUNNING", "COMPLETED"]

    def test_absent_field_costs_the_client_another_request_and_a_null_does_not(
        self, api: Any, platform: Platform
    ) -> None:
        platform.add_job(replace(JOB, id="absent"))
        platform.add_job(replace(JOB, id="null", explicit_nulls=True))
        for export_id, expected in (("absent", 2), ("null", 1)):
            assert api.exports.get(export_id).finished_on is None
            assert sum(seen.path.endswith(export_id) for seen in platform.requests) == expected

    def test_result_of_a_completed_job_is_its_file_where_it_is_shown(self, api: Any, platform: Platform) -> None:
        platform.add_job(replace(JOB, steps=AT_ONCE, shows_result=True))
        assert api.exports.get(JOB.id).result.size == 1234
        assert api.exports.get(COMPLETED).result is None

    def test_query_pages_through_the_exports_of_a_volume(self, api: Any, platform: Platform) -> None:
        for number in range(120):
            platform.add_job(
                replace(JOB, id=f"job{number:03}", volume="rfranklin/other", steps=NEVER), age_seconds=number
            )
        page = api.exports.query(volume="rfranklin/other", limit=50)
        assert (len(page), page.total) == (50, 120)
        assert [job.id for job in page.next_page().previous_page()] == [job.id for job in page]
        assert [job.id for job in page.all()] == [f"job{number:03}" for number in range(120)]

    def test_query_by_state_gives_these_states_alone(self, api: Any, platform: Platform) -> None:
        platform.add_job(JOB)
        assert [job.id for job in api.exports.query(state="FAILED")] == [FAILED]

    def test_submitted_export_starts_a_job_that_completes(self, api: Any, platform: Platform, clock: Clock) -> None:
        job = api.exports.submit_export(file=FILE, volume=VOLUME, location="a.vcf", copy_only=True, overwrite=True)
        assert (job.state, job.overwrite, job.properties["sse_algorithm"]) == ("PENDING", True, "AES256")
        assert platform.requests[-1].query == {"copy_only": ("True",)}
        clock.now += 5
        assert api.exports.get(job.id).state == "COMPLETED"
        assert api.files.get(FILE).storage.type == "PLATFORM"

    def test_moved_file_becomes_an_alias_that_cannot_be_exported_again(
        self, api: Any, platform: Platform, clock: Clock
    ) -> None:
        platform.add_file("moving", name="b.vcf", size=1, project="rfranklin/my-project")
        job = api.exports.submit_export(file="moving", volume=VOLUME, location="b.vcf")
        clock.now += 5
        assert job.reload().state == "COMPLETED"
        assert api.files.get("moving").storage.location == "b.vcf"
        with pytest.raises(Forbidden) as refused:
            api.exports.submit_export(file="moving", volume=VOLUME, location="c.vcf")
        assert refused.value.code == 9006

    def test_bulk_get_gives_jobs_and_errors_in_one_answer(self, api: Any, platform: Platform) -> None:
        found, unknown, failed = api.exports.bulk_get([COMPLETED, "unknown", FAILED])
        assert (found.resource.state, failed.resource.error.code) == ("COMPLETED", 9107)
        assert (unknown.valid, unknown.error.code) == (False, 9008)
        assert platform.requests[-1].ids == (COMPLETED, "unknown", FAILED)

    def test_bulk_submit_starts_what_it_can(self, api: Any) -> None:
        wanted = {"volume": VOLUME, "location": "d.vcf"}
        started, refused = api.exports.bulk_submit(
            [{"file": FILE, **wanted}, {"file": "none", **wanted}], copy_only=True
        )
        assert api.exports.get(started.resource.id).destination.location == "d.vcf"
        assert refused.error.code == 9009

    def test_volume_shows_its_bucket_and_prefix(self, api: Any) -> None:
        volume = api.volumes.get(VOLUME)
        assert (volume.service["bucket"], volume.service["prefix"], volume.active) == ("output-bucket", "exports", True)

    def test_files_are_read_singly_and_in_bulk(self, api: Any) -> None:
        assert api.files.get(FILE).size == 1234
        found, unknown = api.files.bulk_get([FILE, "unknown"])
        assert (found.resource.name, unknown.error.code) == ("output.vcf", 5002)

    @pytest.mark.parametrize(
        ("collection", "name", "code"),
        [("exports", "unknown", 9008), ("volumes", "rfranklin/unknown", 9007), ("files", "unknown", 5002)],
    )
    def test_what_is_unknown_is_not_found_with_its_own_code(
        self, api: Any, collection: str, name: str, code: int
    ) -> None:
        with pytest.raises(NotFound) as refused:
            getattr(api, collection).get(name)
        assert refused.value.code == code

    def test_job_of_another_user_is_forbidden_and_not_listed(self, api: Any, platform: Platform) -> None:
        platform.add_job(replace(JOB, foreign=True))
        with pytest.raises(Forbidden) as refused:
            api.exports.get(JOB.id)
        assert refused.value.code == 9005
        assert JOB.id not in [job.id for job in api.exports.query()]

    def test_token_that_was_replaced_is_unauthorized(self, api: Any, platform: Platform) -> None:
        platform.tokens = {"the-next-token"}
        with pytest.raises(Unauthorized) as refused:
            api.exports.get(COMPLETED)
        assert refused.value.code == 90001
        assert not platform.requests[-1].token_was_right

    def test_rate_limit_handler_waits_for_the_reset_and_gets_its_answer(self) -> None:
        platform = Platform(TOKEN)
        platform.rate = RateWindow(limit=1, seconds=1)
        platform.add_job(documented_failed())
        with serve(platform) as real_time_url:
            api = sevenbridges.Api(url=real_time_url, token=TOKEN, debug=True, error_handlers=[rate_limit_sleeper])
            assert [api.exports.get(FAILED).state for _ in range(2)] == ["FAILED", "FAILED"]
        assert 429 in [seen.status for seen in platform.requests]

    def test_rate_limit_is_shown_and_asking_for_it_is_not_counted(self, api: Any) -> None:
        api.exports.get(COMPLETED)
        assert [api.rate_limit.get().rate.remaining for _ in range(2)] == [999, 999]

    def test_maintenance_is_503_with_code_0(self, api: Any, platform: Platform) -> None:
        platform.fail(Match(), Status(503, error_body(503, 0, "Maintenance.")))
        api.remove_error_handler(maintenance_sleeper)
        with pytest.raises(ServiceUnavailable) as refused:
            api.exports.get(COMPLETED)
        assert refused.value.code == 0


class TestJobs:
    def test_object_is_delivered_once_and_before_any_answer_shows_completed(
        self, url: str, session: requests.Session, platform: Platform, clock: Clock
    ) -> None:
        delivered: list[tuple[str, int]] = []
        platform.deliver = lambda job: delivered.append((job.id, len(platform.requests)))
        platform.add_job(JOB)
        bulk(session, url, JOB.id)
        assert delivered == []
        clock.now += 3
        threads = [threading.Thread(target=bulk, args=(session, url, JOB.id)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert delivered == [(JOB.id, 1)]

    def test_job_that_lies_completes_without_an_object(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        delivered: list[Job] = []
        platform.deliver = delivered.append
        platform.add_job(replace(JOB, steps=AT_ONCE, delivers=False))
        assert bulk(session, url, JOB.id).json()["items"][0]["resource"]["state"] == "COMPLETED"
        assert delivered == []

    def test_fields_of_a_job_can_be_changed_and_removed(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.add_job(replace(JOB, steps=((0, "PAUSED"),), fields={"overwrite": "no"}, hidden=frozenset({"source"})))
        job = session.get(f"{url}/storage/exports/{JOB.id}", timeout=5).json()
        assert (job["state"], job["overwrite"], "source" in job) == ("PAUSED", "no", False)

    @pytest.mark.parametrize(
        "submission",
        [None, {}, {"source": FILE}, {"source": {"file": [FILE]}, "destination": {"volume": VOLUME, "location": "a"}}],
    )
    def test_start_call_of_the_wrong_shape_is_refused_with_a_code(
        self, url: str, session: requests.Session, submission: Any
    ) -> None:
        refused = session.post(f"{url}/storage/exports", json=submission, timeout=5)
        assert (refused.status_code, refused.json()["code"]) == (400, 90000)

    @pytest.mark.parametrize(
        ("order", "expected"),
        [("oldest first", ["m", "z", "a"]), ("newest first", ["a", "z", "m"]), ("none", ["a", "m", "z"])],
    )
    def test_list_keeps_the_order_that_was_chosen(
        self, url: str, session: requests.Session, platform: Platform, order: Any, expected: list[str]
    ) -> None:
        for export_id, age in (("m", 30), ("z", 20), ("a", 10)):
            platform.add_job(replace(JOB, id=export_id, steps=NEVER), age_seconds=age)
        platform.list_order = order
        listed = session.get(f"{url}/storage/exports?state=RUNNING&state=PENDING", timeout=5).json()["items"]
        assert [item["id"] for item in listed] == expected
        assert all(item.keys() == {"href", "id", "state"} for item in listed)


class TestLimits:
    def test_bulk_read_of_more_than_100_is_refused_with_a_code(self, url: str, session: requests.Session) -> None:
        assert len(bulk(session, url, *["x"] * 100).json()["items"]) == 100
        refused = bulk(session, url, *["x"] * 101)
        assert (refused.status_code, refused.json()["code"]) == (400, 90000)

    def test_page_of_more_than_100_is_refused(self, url: str, session: requests.Session) -> None:
        assert session.get(f"{url}/storage/exports?limit=100", timeout=5).status_code == 200
        assert session.get(f"{url}/storage/exports?limit=101", timeout=5).status_code == 400

    def test_platform_without_bulk_calls_has_no_such_path(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.bulk_enabled = False
        refused = bulk(session, url, COMPLETED)
        assert refused.status_code == 404
        assert refused.json() == {"status": "NOT_FOUND", "message": "HTTP 404 Not Found"}

    def test_path_outside_the_root_is_unknown(self, url: str, session: requests.Session) -> None:
        assert "code" not in session.get(f"{url.removesuffix('/v2')}/storage/exports", timeout=5).json()

    def test_requests_beyond_the_limit_are_refused_until_the_window_ends(
        self, url: str, session: requests.Session, platform: Platform, clock: Clock
    ) -> None:
        platform.rate = RateWindow(limit=2, seconds=60)
        answers = [bulk(session, url, COMPLETED) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
        assert answers[2].json()["code"] == 1000
        clock.now = int(answers[2].headers["X-RateLimit-Reset"])
        assert bulk(session, url, COMPLETED).status_code == 200

    @pytest.mark.parametrize(
        ("unit", "expected"), [("seconds", "1700000060"), ("milliseconds", "1700000060000"), (None, None)]
    )
    def test_reset_is_shown_in_the_chosen_unit(
        self, url: str, session: requests.Session, platform: Platform, unit: Any, expected: str | None
    ) -> None:
        platform.rate = RateWindow(seconds=60, reset_unit=unit)
        assert bulk(session, url, COMPLETED).headers.get("X-RateLimit-Reset") == expected

    def test_log_names_headers_and_never_holds_the_token(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        session.get(f"{url}/storage/exports/{COMPLETED}", headers={"Content-Type": "application/json"}, timeout=5)
        (seen,) = platform.requests
        assert {"content-type", "x-sbg-auth-token"} <= seen.header_names
        assert (seen.method, seen.path, seen.status) == ("GET", f"/storage/exports/{COMPLETED}", 200)
        assert TOKEN not in repr(seen)


class TestFaults:
    def read(self, session: requests.Session, url: str, export_id: str = COMPLETED) -> requests.Response:
        return session.get(f"{url}/storage/exports/{export_id}", timeout=0.5, allow_redirects=False)

    def test_fault_meets_what_it_matches_as_often_as_planned(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(["GET"], r"/storage/exports/[^/]+"), Status(500), times=2)
        assert bulk(session, url, COMPLETED).status_code == 200
        assert [self.read(session, url).status_code for _ in range(3)] == [500, 500, 200]

    def test_fault_of_one_export_meets_single_and_bulk_reads_until_it_is_healed(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(export_id=FAILED), Status(500), times=None)
        assert (bulk(session, url, COMPLETED, FAILED).status_code, bulk(session, url, COMPLETED).status_code) == (
            500,
            200,
        )
        assert (self.read(session, url, FAILED).status_code, self.read(session, url).status_code) == (500, 200)
        platform.faults.clear()
        assert self.read(session, url, FAILED).status_code == 200

    def test_status_brings_its_own_body_and_headers(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Status(429, {"code": "1000"}, {"x-ratelimit-reset": "soon"}))
        answer = self.read(session, url)
        assert (answer.status_code, answer.json(), answer.headers["X-RateLimit-Reset"]) == (
            429,
            {"code": "1000"},
            "soon",
        )

    @pytest.mark.parametrize("status", [200, 502])
    def test_html_is_a_page(self, url: str, session: requests.Session, platform: Platform, status: int) -> None:
        platform.fail(Match(), html_page(status))
        answer = self.read(session, url)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
        assert answer.text.startswith("<html>")

    def test_redirect_names_another_place(self, url: str, session: requests.Session, platform: Platform) -> None:
        platform.fail(Match(), redirect("http://127.0.0.1:9/elsewhere"))
        assert self.read(session, url).headers["Location"] == "http://127.0.0.1:9/elsewhere"

    def test_other_jobs_body_comes_in_place_of_what_was_asked_for(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), WrongJob(FAILED), times=2)
        assert self.read(session, url).json()["id"] == FAILED
        assert bulk(session, url, COMPLETED).json()["items"][0]["resource"]["id"] == FAILED
        assert platform.requests[-1].ids == (COMPLETED,)

    def test_left_out_job_is_missing_from_the_bulk_answer(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), OmittedItem(COMPLETED))
        assert [item["resource"]["id"] for item in bulk(session, url, COMPLETED, FAILED).json()["items"]] == [FAILED]

    def test_truncated_answer_breaks_off_in_its_body(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Truncated())
        answer = session.get(f"{url}/storage/exports/{COMPLETED}", stream=True, timeout=5)
        assert (answer.status_code, int(answer.headers["Content-Length"]) > 0) == (200, True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.json()

    def test_closed_connection_has_no_answer_and_no_status(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Close())
        with pytest.raises(requests.ConnectionError):
            self.read(session, url)
        assert platform.requests[-1].status is None

    def test_raw_bytes_need_not_be_http(self, url: str, session: requests.Session, platform: Platform) -> None:
        platform.fail(Match(), Raw(b"HTTP/1.1 nonsense\r\n\r\n"))
        with pytest.raises(requests.ConnectionError):
            self.read(session, url)

    def test_hanging_answer_times_out_and_was_logged_on_arrival(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Hang(60))
        with pytest.raises(requests.ReadTimeout):
            self.read(session, url)
        assert [seen.path for seen in platform.requests] == [f"/storage/exports/{COMPLETED}"]

    def test_short_hang_is_followed_by_the_ordinary_answer(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Hang(0.01))
        assert self.read(session, url).json()["id"] == COMPLETED

    def test_dripping_answer_arrives_byte_by_byte_without_a_read_timing_out(
        self, url: str, session: requests.Session, platform: Platform
    ) -> None:
        platform.fail(Match(), Drip(0.002))
        answer = session.get(f"{url}/storage/exports/{COMPLETED}", stream=True, timeout=0.5)
        pieces = []
        while piece := answer.raw.read1(65536):
            pieces.append(piece)
        assert len(pieces) > 10
        assert json.loads(b"".join(pieces))["id"] == COMPLETED


class TestServer:
    def test_one_connection_serves_many_requests_that_carry_bodies(self, url: str) -> None:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.connect()
        first_socket = connection.sock
        for _ in range(3):
            connection.request("GET", f"/v2/files/{FILE}", body="null", headers={"X-SBG-Auth-Token": TOKEN})
            assert json.loads(connection.getresponse().read())["size"] == 1234
            assert connection.sock is first_socket
        connection.close()

    def test_client_that_waits_before_it_sends_its_body_is_asked_for_it(self, url: str) -> None:
        head = b"POST /v2/storage/exports HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5) as connection:
            connection.sendall(head)
            assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"{}")
            assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")

    def test_server_that_has_ended_answers_nobody_who_kept_a_connection(
        self, session: requests.Session, platform: Platform
    ) -> None:
        with serve(platform) as base_url:
            assert session.get(f"{base_url}/rate_limit", timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get(f"{base_url}/rate_limit", timeout=5)

    def test_server_ends_while_an_answer_hangs(self, session: requests.Session, platform: Platform) -> None:
        platform.fail(Match(), Hang(600))
        with serve(platform) as base_url, pytest.raises(requests.ReadTimeout):
            session.get(f"{base_url}/rate_limit", timeout=0.2)
        assert len(platform.requests) == 1

    def test_server_writes_nothing_to_the_terminal(
        self, session: requests.Session, platform: Platform, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with serve(platform) as base_url:
            session.get(f"{base_url}/rate_limit", timeout=5)
        assert capfd.readouterr() == ("", "")
