"""The simulated API as a client on loopback sees it: the official client first, then plain requests for each fault."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import sevenbridges
from sevenbridges.errors import BadRequest, Forbidden, NotFound, Unauthorized
from sevenbridges.http.error_handlers import rate_limit_sleeper

from local.export_jobs import AT_ONCE, IN_A_FEW_SECONDS, NEVER, Job, documented_completed, documented_failed
from local.faults import Hang, Match, OmittedItem, Status, WrongJob
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
class Served:
    """A simulated platform on loopback, with a clock of its own, and a client of it."""

    platform: Platform
    now: float = 1_700_000_000.0
    url: str = ""

    def __post_init__(self) -> None:
        self.platform.clock = lambda: self.now
        self.session = requests.Session()
        self.session.headers["X-SBG-Auth-Token"] = TOKEN

    @cached_property
    def api(self) -> Any:
        """The official client."""
        return sevenbridges.Api(url=self.url, token=TOKEN, debug=True)

    def get(self, path: str, timeout: float = 5, **more: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=timeout, allow_redirects=False, **more)

    def read(self, export_id: str = COMPLETED) -> requests.Response:
        return self.get(f"/storage/exports/{export_id}", timeout=0.5)

    def bulk(self, *export_ids: str) -> requests.Response:
        return self.session.post(f"{self.url}/bulk/storage/exports/get", json={"export_ids": export_ids}, timeout=5)


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served(Platform(TOKEN))
    served.platform.add_volume(VOLUME, bucket="output-bucket", prefix="exports")
    served.platform.add_file(FILE, name="output.vcf", size=1234, project="rfranklin/my-project")
    served.platform.add_job(documented_completed(), age_seconds=10)
    served.platform.add_job(documented_failed(), age_seconds=10)
    with serve(served.platform) as served.url, served.session:
        yield served


class TestOfficialClient:
    def test_documented_completed_job_is_shown_as_documented(self, served: Served) -> None:
        job = served.api.exports.get(COMPLETED)
        assert (job.state, job.source.id) == ("COMPLETED", FILE)
        assert (job.destination.volume, job.destination.location) == (VOLUME, "output.vcf")
        assert job.started_on.isoformat() == "2016-06-15T19:17:39"
        assert job.finished_on.isoformat() == "2016-06-15T19:17:41"
        assert job.properties["aws_canned_acl"] == "public-read"
        assert job.overwrite is False

    def test_documented_failed_job_is_no_http_error_and_carries_its_own(self, served: Served) -> None:
        job = served.api.exports.get(FAILED)
        assert (job.state, job.error.status, job.error.code) == ("FAILED", 409, 9107)
        assert job.error.more_info.endswith("#9107")
        assert (job.source.id, job.destination.location) == ("57679b78f5b039a7e7fde6a9", "_4_s3_file.jpg")
        assert job.started_on.isoformat() == job.finished_on.isoformat() == "2016-06-22T13:38:57"
        assert (job.properties["sse_algorithm"], job.properties["aws_canned_acl"]) == ("AES256", "public-read")
        assert job.properties["sse_aws_kms_key_id"] == "1234ab56-78d9-10a1-1d23-cc391dc099b"

    def test_reload_follows_the_href_of_the_job_and_sees_its_next_state(self, served: Served) -> None:
        served.platform.add_job(JOB)
        job = served.api.exports.get(JOB.id)
        states = [job.state]
        for _ in range(2):
            served.now += 2
            states.append(job.reload().state)
        assert states == ["PENDING", "RUNNING", "COMPLETED"]

    def test_absent_field_costs_the_client_another_request_and_a_null_does_not(self, served: Served) -> None:
        served.platform.add_job(replace(JOB, id="absent"))
        served.platform.add_job(replace(JOB, id="null", explicit_nulls=True))
        for export_id, expected in (("absent", 2), ("null", 1)):
            assert served.api.exports.get(export_id).finished_on is None
            assert sum(seen.path.endswith(export_id) for seen in served.platform.requests) == expected

    def test_result_of_a_completed_job_is_its_file_where_it_is_shown(self, served: Served) -> None:
        served.platform.add_job(replace(JOB, steps=AT_ONCE, shows_result=True))
        assert served.api.exports.get(JOB.id).result.size == 1234
        assert served.api.exports.get(COMPLETED).result is None

    def test_query_pages_through_the_exports_of_a_volume(self, served: Served) -> None:
        for number in range(120):
            served.platform.add_job(
                replace(JOB, id=f"job{number:03}", volume="rfranklin/other", steps=NEVER), age_seconds=number
            )
        page = served.api.exports.query(volume="rfranklin/other", limit=50)
        assert (len(page), page.total) == (50, 120)
        assert [job.id for job in page.next_page().previous_page()] == [job.id for job in page]
        assert [job.id for job in page.all()] == [f"job{number:03}" for number in range(120)]

    def test_query_by_state_returns_only_these_states(self, served: Served) -> None:
        served.platform.add_job(JOB)
        assert [job.id for job in served.api.exports.query(state="FAILED")] == [FAILED]

    def test_submitted_export_starts_a_job_that_completes(self, served: Served) -> None:
        job = served.api.exports.submit_export(
            file=FILE, volume=VOLUME, location="a.vcf", copy_only=True, overwrite=True
        )
        assert (job.state, job.overwrite, job.properties["sse_algorithm"]) == ("PENDING", True, "AES256")
        assert served.platform.requests[-1].query == {"copy_only": ("True",)}
        served.now += 5
        assert served.api.exports.get(job.id).state == "COMPLETED"
        assert served.api.files.get(FILE).storage.type == "PLATFORM"

    def test_moved_file_becomes_an_alias_that_cannot_be_exported_again(self, served: Served) -> None:
        served.platform.add_file("moving", name="b.vcf", size=1, project="rfranklin/my-project")
        job = served.api.exports.submit_export(file="moving", volume=VOLUME, location="b.vcf")
        served.now += 5
        assert job.reload().state == "COMPLETED"
        assert served.api.files.get("moving").storage.location == "b.vcf"
        with pytest.raises(Forbidden) as refused:
            served.api.exports.submit_export(file="moving", volume=VOLUME, location="c.vcf")
        assert refused.value.code == 9006

    def test_bulk_get_gives_jobs_and_errors_in_one_answer(self, served: Served) -> None:
        found, unknown, failed = served.api.exports.bulk_get([COMPLETED, "unknown", FAILED])
        assert (found.resource.state, failed.resource.error.code) == ("COMPLETED", 9107)
        assert (unknown.valid, unknown.error.code) == (False, 9008)
        assert served.platform.requests[-1].ids == (COMPLETED, "unknown", FAILED)

    @pytest.mark.parametrize("copy_only", [True, False])
    def test_bulk_submit_starts_what_it_can_in_one_request(self, served: Served, copy_only: bool) -> None:
        wanted = [{"file": file, "volume": VOLUME, "location": f"{file}.vcf"} for file in (FILE, "unknown")]
        wanted[0] |= {"properties": {"aws_canned_acl": "private"}, "overwrite": True}
        started, refused = served.api.exports.bulk_submit(wanted, copy_only=copy_only)
        assert (started.resource.source.id, started.resource.destination.location) == (FILE, f"{FILE}.vcf")
        assert (started.resource.state, started.resource.overwrite) == ("PENDING", True)
        assert (refused.valid, refused.error.code) == (False, 9009)
        job = served.platform.job(started.resource.id)
        assert (job.copy_only, job.properties["aws_canned_acl"]) == (copy_only, "private")
        assert [one.path for one in served.platform.requests] == ["/bulk/storage/exports/create"]

    @pytest.mark.parametrize(
        ("volume", "code"), [({"access_mode": "RO"}, 9026), ({"active": False}, 9069), ({"bucket": "b"}, 9072)]
    )
    def test_export_to_a_place_that_cannot_be_written_to_is_refused(
        self, served: Served, volume: dict[str, Any], code: int
    ) -> None:
        served.platform.add_volume("rfranklin/other", **{"bucket": "b", **volume})
        [refused] = served.api.exports.bulk_submit([{"file": FILE, "volume": "rfranklin/other", "location": "a/"}])
        assert refused.error.code == code

    def test_export_of_what_the_platform_does_not_store_itself_is_refused(self, served: Served) -> None:
        platform, project = served.platform, "rfranklin/my-project"
        platform.add_folder("folder", name="folder", project=project)
        platform.add_file("public", name="p", size=1, project=project, origin={"dataset": "tcga"})
        platform.add_file("imported", name="i", size=1, project=project, storage={"type": "VOLUME"})
        platform.add_file("archived", name="a", size=1, project=project)
        platform.archive_file("archived")
        names = ["folder", "public", "imported", "archived"]
        wanted = [{"file": name, "volume": VOLUME, "location": name} for name in names]
        assert [one.error.code for one in served.api.exports.bulk_submit(wanted)] == [9006] * 4

    def test_outputs_of_a_task_are_shown_as_files_of_any_depth(self, served: Served) -> None:
        task_id = "123a1a1a-12a1-1234-a123-1234567a1a12"
        file = {"class": "File", "path": FILE, "name": "output.vcf"}
        folder = {"class": "Directory", "path": "folder"}
        served.platform.add_task(task_id, outputs={"one": file, "many": [[file], folder], "none": None})
        task = served.api.tasks.get(task_id)
        assert (task.status, task.batch, task.outputs["none"]) == ("COMPLETED", False, None)
        assert (task.outputs["one"].id, task.outputs["one"].name) == (FILE, "output.vcf")
        [[inner], directory] = task.outputs["many"]
        assert (inner.id, directory.id, directory.is_folder()) == (FILE, "folder", True)
        with pytest.raises(NotFound):
            served.api.tasks.get(task_id.replace("123", "321"))

    def test_listed_files_say_whether_they_are_folders(self, served: Served) -> None:
        served.platform.add_folder("folder", name="a", project="rfranklin/my-project")
        listed = served.api.files.query(project="rfranklin/my-project")
        assert [(one.id, one.is_folder()) for one in listed] == [("folder", True), (FILE, False)]
        assert len(served.platform.requests) == 1

    def test_files_are_read_singly_and_in_bulk(self, served: Served) -> None:
        assert served.api.files.get(FILE).size == 1234
        found, unknown = served.api.files.bulk_get([FILE, "unknown"])
        assert (found.resource.name, unknown.error.code) == ("output.vcf", 5002)

    @pytest.mark.parametrize(
        ("collection", "name", "code"),
        [("exports", "unknown", 9008), ("volumes", "rfranklin/unknown", 9007), ("files", "unknown", 5002)],
    )
    def test_unknown_id_is_not_found_with_the_code_of_its_kind(
        self, served: Served, collection: str, name: str, code: int
    ) -> None:
        with pytest.raises(NotFound) as refused:
            getattr(served.api, collection).get(name)
        assert refused.value.code == code

    def test_job_of_another_user_is_forbidden_and_not_listed(self, served: Served) -> None:
        served.platform.add_job(replace(JOB, foreign=True))
        with pytest.raises(Forbidden) as refused:
            served.api.exports.get(JOB.id)
        assert refused.value.code == 9005
        assert JOB.id not in [job.id for job in served.api.exports.query()]

    def test_token_that_was_replaced_is_unauthorized(self, served: Served) -> None:
        served.platform.tokens = {"the-next-token"}
        with pytest.raises(Unauthorized) as refused:
            served.api.exports.get(COMPLETED)
        assert refused.value.code == 90001
        assert not served.platform.requests[-1].token_was_right

    def test_rate_limit_handler_waits_for_the_reset_and_succeeds(self) -> None:
        platform = Platform(TOKEN)
        platform.rate = RateWindow(limit=1, seconds=1)
        platform.add_job(documented_failed())
        with serve(platform) as real_time_url:
            api = sevenbridges.Api(url=real_time_url, token=TOKEN, debug=True, error_handlers=[rate_limit_sleeper])
            assert [api.exports.get(FAILED).state for _ in range(2)] == ["FAILED", "FAILED"]
        assert 429 in [seen.status for seen in platform.requests]


class TestJobs:
    def test_object_is_delivered_once_and_before_any_answer_shows_completed(self, served: Served) -> None:
        delivered: list[tuple[str, int]] = []
        served.platform.deliver = lambda job: delivered.append((job.id, len(served.platform.requests)))
        served.platform.add_job(JOB)
        served.bulk(JOB.id)
        assert delivered == []
        served.now += 3
        threads = [threading.Thread(target=served.bulk, args=(JOB.id,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert delivered == [(JOB.id, 1)]

    @pytest.mark.parametrize(
        "submission",
        [None, {}, {"source": FILE}, {"source": {"file": [FILE]}, "destination": {"volume": VOLUME, "location": "a"}}],
    )
    def test_start_call_of_the_wrong_shape_is_refused_with_a_code(self, served: Served, submission: Any) -> None:
        refused = served.session.post(f"{served.url}/storage/exports", json=submission, timeout=5)
        assert (refused.status_code, refused.json()["code"]) == (400, 90000)

    @pytest.mark.parametrize(
        ("order", "expected"),
        [("oldest first", ["m", "z", "a"]), ("newest first", ["a", "z", "m"]), ("none", ["a", "m", "z"])],
    )
    def test_list_has_the_chosen_order(self, served: Served, order: Any, expected: list[str]) -> None:
        for export_id, age in (("m", 30), ("z", 20), ("a", 10)):
            served.platform.add_job(replace(JOB, id=export_id, steps=NEVER), age_seconds=age)
        served.platform.list_order = order
        listed = served.get("/storage/exports?state=RUNNING&state=PENDING").json()["items"]
        assert [item["id"] for item in listed] == expected
        assert all(item.keys() == {"href", "id", "state"} for item in listed)


class TestLimits:
    def test_bulk_read_of_more_than_100_is_refused_with_a_code(self, served: Served) -> None:
        assert len(served.bulk(*["x"] * 100).json()["items"]) == 100
        refused = served.bulk(*["x"] * 101)
        assert (refused.status_code, refused.json()["code"]) == (400, 90000)

    def test_bulk_start_of_more_than_100_is_refused_with_a_code_and_starts_nothing(self, served: Served) -> None:
        with pytest.raises(BadRequest) as refused:
            served.api.exports.bulk_submit([{"file": FILE, "volume": VOLUME, "location": f"{n}"} for n in range(101)])
        assert refused.value.code == 90000
        assert len(served.platform.jobs()) == 2

    def test_page_of_more_than_100_is_refused(self, served: Served) -> None:
        assert served.get("/storage/exports?limit=100").status_code == 200
        assert served.get("/storage/exports?limit=101").status_code == 400

    def test_requests_beyond_the_limit_are_refused_until_the_window_ends(self, served: Served) -> None:
        served.platform.rate = RateWindow(limit=2, seconds=60)
        answers = [served.bulk(COMPLETED) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
        assert answers[2].json()["code"] == 1000
        served.now = int(answers[2].headers["X-RateLimit-Reset"])
        assert served.bulk(COMPLETED).status_code == 200

    @pytest.mark.parametrize(
        ("unit", "expected"), [("seconds", "1700000060"), ("milliseconds", "1700000060000"), (None, None)]
    )
    def test_reset_is_shown_in_the_chosen_unit(self, served: Served, unit: Any, expected: str | None) -> None:
        served.platform.rate = RateWindow(seconds=60, reset_unit=unit)
        assert served.bulk(COMPLETED).headers.get("X-RateLimit-Reset") == expected


class TestFaults:
    def test_fault_affects_matching_requests_the_planned_number_of_times(self, served: Served) -> None:
        served.platform.fail(Match(["GET"], r"/storage/exports/[^/]+"), Status(500), times=2)
        assert served.bulk(COMPLETED).status_code == 200
        assert [served.read().status_code for _ in range(3)] == [500, 500, 200]

    def test_fault_of_one_export_affects_single_and_bulk_reads_until_it_is_removed(self, served: Served) -> None:
        served.platform.fail(Match(export_id=FAILED), Status(500), times=None)
        assert (served.bulk(COMPLETED, FAILED).status_code, served.bulk(COMPLETED).status_code) == (500, 200)
        assert (served.read(FAILED).status_code, served.read().status_code) == (500, 200)
        served.platform.faults.clear()
        assert served.read(FAILED).status_code == 200

    def test_body_of_another_job_replaces_the_requested_one(self, served: Served) -> None:
        served.platform.fail(Match(), WrongJob(FAILED), times=2)
        assert served.read().json()["id"] == FAILED
        assert served.bulk(COMPLETED).json()["items"][0]["resource"]["id"] == FAILED
        assert served.platform.requests[-1].ids == (COMPLETED,)

    def test_omitted_job_is_missing_from_the_bulk_response(self, served: Served) -> None:
        served.platform.fail(Match(), OmittedItem(COMPLETED))
        assert [item["resource"]["id"] for item in served.bulk(COMPLETED, FAILED).json()["items"]] == [FAILED]

    def test_hanging_answer_times_out_and_was_logged_on_arrival(self, served: Served) -> None:
        served.platform.fail(Match(), Hang(60))
        with pytest.raises(requests.ReadTimeout):
            served.read()
        assert [seen.path for seen in served.platform.requests] == [f"/storage/exports/{COMPLETED}"]


class TestServer:
    def test_one_connection_serves_many_requests_with_bodies(self, served: Served) -> None:
        connection = HTTPConnection(urlsplit(served.url).netloc, timeout=5)
        connection.connect()
        first_socket = connection.sock
        for _ in range(3):
            connection.request("GET", f"/v2/files/{FILE}", body="null", headers={"X-SBG-Auth-Token": TOKEN})
            assert json.loads(connection.getresponse().read())["size"] == 1234
            assert connection.sock is first_socket
        connection.close()

    def test_stopped_server_closes_kept_connections(self, served: Served) -> None:
        with serve(served.platform) as base_url:
            assert served.session.get(f"{base_url}/storage/exports", timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            served.session.get(f"{base_url}/storage/exports", timeout=5)

    def test_server_stops_while_a_response_hangs(self, served: Served) -> None:
        served.platform.fail(Match(), Hang(600))
        with serve(served.platform) as base_url, pytest.raises(requests.ReadTimeout):
            served.session.get(f"{base_url}/storage/exports", timeout=0.2)
        assert len(served.platform.requests) == 1
