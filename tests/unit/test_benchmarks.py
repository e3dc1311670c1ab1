"""The benchmark's logic: the stub server's responses, ratios, targets and the published tables."""

from collections.abc import Iterator

import boto3
import pytest
import requests
from botocore.config import Config

from benchmarks import TOKEN
from benchmarks.exports import BUCKET, SIZE_BYTES, export_id
from benchmarks.results import BEGIN, END, Figure, Section, Target, replaced, table
from benchmarks.runner import Cold, Growth, Measured, Warm
from benchmarks.sections import growth_sections, warm_section
from benchmarks.stub_server import Counts, StubServer
from export_monitor.domain.integrity import detect_format, has_eof_marker
from export_monitor.domain.model import HeadAndTail


@pytest.fixture(scope="module")
def running() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


@pytest.fixture
def stub(running):
    running.begin(0.0)
    return running


def client(stub, service):
    return boto3.client(
        service,
        endpoint_url=f"http://{stub.address}",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def test_queue_hides_every_message_of_a_batch(stub):
    entries = [{"Id": str(n), "ReceiptHandle": "r", "VisibilityTimeout": 90} for n in range(10)]
    answer = client(stub, "sqs").change_message_visibility_batch(QueueUrl="http://queue", Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == [str(n) for n in range(10)]
    assert not answer.get("Failed")
    assert stub.counts() == Counts({"sqs ChangeMessageVisibilityBatch": 1})


def test_topic_publishes_every_entry_of_a_batch(stub):
    entries = [{"Id": f"e{n}", "Message": f"Id={n}&"} for n in range(10)]
    sns = client(stub, "sns")
    answer = sns.publish_batch(TopicArn="arn:aws:sns:us-east-1:123456789012:t", PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in answer["Successful"]] == [one["Id"] for one in entries]
    assert answer["Failed"] == []
    assert stub.counts().published == 10


def test_topic_publishes_a_single_message(stub):
    answer = client(stub, "sns").publish(TopicArn="arn:aws:sns:us-east-1:123456789012:t", Message="m")
    assert answer["MessageId"]
    assert stub.counts().published == 1


def test_table_accepts_a_transaction_and_a_single_write(stub):
    table = client(stub, "dynamodb")
    update = {"TableName": "t", "Key": {"export_id": {"S": "e"}}, "UpdateExpression": "SET a = b"}
    table.transact_write_items(TransactItems=[{"Update": update}] * 3)
    table.update_item(**update)
    assert stub.counts().requests == {"dynamodb TransactWriteItems": 1, "dynamodb UpdateItem": 1}


def test_secret_is_the_token_that_the_api_accepts(stub):
    secret = client(stub, "secretsmanager").get_secret_value(SecretId="arn")["SecretString"]
    assert ask(stub, "GET", f"/storage/exports/{export_id('running', 1)}", secret).status_code == 200
    assert ask(stub, "GET", f"/storage/exports/{export_id('running', 1)}", "another").status_code == 401


def test_object_is_a_complete_bam_with_the_requested_encryption_and_storage_class(stub):
    s3 = client(stub, "s3")
    head = s3.head_object(Bucket=BUCKET, Key="a.bam", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ServerSideEncryption"]) == (SIZE_BYTES, "AES256")
    assert "StorageClass" not in head
    first = s3.get_object(Bucket=BUCKET, Key="a.bam", Range="bytes=0-4095")
    last = s3.get_object(Bucket=BUCKET, Key="a.bam", Range=f"bytes={SIZE_BYTES - 38}-{SIZE_BYTES - 1}")
    assert first["ContentRange"] == f"bytes 0-4095/{SIZE_BYTES}"
    ends = HeadAndTail(first["Body"].read(), last["Body"].read())
    assert (len(ends.first), len(ends.last)) == (4096, 38)
    assert detect_format(ends) == "BAM"
    assert has_eof_marker(ends)


@pytest.mark.parametrize(
    ("kind", "state"), [("running", "RUNNING"), ("completed", "COMPLETED"), ("failed", "FAILED"), ("bam", "COMPLETED")]
)
def test_job_is_the_same_in_single_and_bulk_reads_and_has_the_state_in_its_id(stub, kind, state):
    job_id = export_id(kind, 7)
    single = ask(stub, "GET", f"/storage/exports/{job_id}").json()
    bulk = ask(stub, "POST", "/bulk/storage/exports/get", json={"export_ids": [job_id]}).json()
    assert bulk == {"items": [{"resource": single}]}
    assert (single["id"], single["state"], len(job_id)) == (job_id, state, 32)
    assert stub.counts().api == 2


def test_file_is_as_long_as_the_object(stub):
    single = ask(stub, "GET", "/files/f").json()
    bulk = ask(stub, "POST", "/bulk/files/get", json={"file_ids": ["f"]}).json()
    assert bulk == {"items": [{"resource": single}]}
    assert single["size"] == SIZE_BYTES


def test_unknown_request_is_an_error(stub):
    ask(stub, "GET", "/projects/p")
    with pytest.raises(ValueError, match="GET /projects"):
        stub.counts()


def test_counts_can_be_reset(stub):
    ask(stub, "GET", "/files/f")
    stub.begin(0.0)
    assert stub.counts() == Counts({})


def ask(stub, method, path, token=TOKEN, **more):
    with requests.Session() as session:
        session.trust_env = False
        url = f"http://{stub.address}/v2{path}"
        return session.request(method, url, headers={"X-SBG-Auth-Token": token}, timeout=10, **more)


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        pytest.param(Target(0.5), True, id="just the share"),
        pytest.param(Target(0.49), False, id="more than the share"),
        pytest.param(Target(50, of_other=False), True, id="just the number"),
        pytest.param(Target(49, of_other=False), False, id="more than the number"),
        pytest.param(None, None, id="no target"),
    ],
)
def test_target_is_met_up_to_its_limit(target, is_met):
    assert Figure("f", "ms", other=100, app=50, target=target).is_met is is_met


def test_ratio_is_of_the_other():
    assert Figure("f", "ms", other=200, app=50).ratio == 0.25


def test_there_is_no_ratio_to_zero():
    figure = Figure("f", "requests", other=0, app=10, target=Target(10, of_other=False))
    assert (figure.ratio, figure.is_met) == (None, True)


def test_table_shows_each_figure_with_its_target():
    figures = (
        Figure("requests", "requests", 100, 1, Target(1, of_other=False)),
        Figure("time", "ms", 200, 150, Target(0.5)),
    )
    assert table(Section("a snail", "snail", figures)) == [
        "| Compared with a snail |    snail | this app | ratio |   at most |    met |",
        "| ---                   |     ---: |     ---: |  ---: |      ---: |   ---: |",
        "| requests              |      100 |        1 | 0.010 |         1 |    yes |",
        "| time                  | 200.0 ms | 150.0 ms | 0.750 | 0.5 of it | **no** |",
    ]


def measured(requests_by_operation, seconds):
    return Measured(Counts(requests_by_operation), seconds, seconds)


def warm(name, seconds):
    operations = {"api GET export": 100} if name == "baseline" else {"api POST exports in bulk": 1, "sqs Hide": 10}
    return Warm(dict.fromkeys(("running", "completed", "failed", "bam"), measured(operations, seconds)), seconds * 1e8)


def section(exports=100):
    seconds = {"baseline": 1.0, "app": 0.4}
    return warm_section(
        {name: warm(name, taken) for name, taken in seconds.items()},
        {name: Cold(taken, taken, taken) for name, taken in seconds.items()},
        {name: int(taken * 1e6) for name, taken in seconds.items()},
        exports,
    )


def test_requests_to_the_api_and_to_aws_are_counted_separately():
    figures = {figure.name: figure for figure in section().figures}
    api, aws = figures["requests to the API, 100 unfinished"], figures["requests to AWS, 100 unfinished"]
    assert ((api.other, api.app), (aws.other, aws.app)) == ((100, 1), (0, 10))


def test_each_target_of_a_hundred_exports_has_its_figure():
    met = {figure.name: figure.is_met for figure in section().figures if figure.target}
    assert met == {
        "requests to the API, 100 unfinished": True,
        "requests to the API, 100 completed": True,
        "requests to the API, 100 failed": True,
        "requests to the API, 100 completed BAMs": True,
        "requests to AWS, 100 unfinished": True,
        "requests to AWS, 100 completed": True,
        "requests to AWS, 100 failed": True,
        "requests to AWS, 100 completed BAMs": True,
        "CPU time, 100 unfinished": False,
        "CPU time, 100 completed": True,
        "CPU time, 100 failed": True,
        "time, 100 completed, 15 ms a call": False,
        "cold start, CPU time": True,
        "cold start, time": True,
        "peak memory": True,
        "artifact, zipped": True,
    }


def test_rounds_of_another_size_have_no_targets():
    assert not [figure for figure in section(10).figures if figure.target and "10 " in figure.name]


def test_growth_is_compared_with_ten_and_with_a_hundred():
    sections = growth_sections(
        [Growth(n, cpu, 0.01, 0.1) for n, cpu in ((10, 4.0), (100, 1.0), (1000, 1.0), (5000, 2.0))]
    )
    assert [one.other for one in sections] == ["10", "100"]
    assert [[figure.is_met for figure in one.figures] for one in sections] == [[True] * 3, [False, True, True]]


def test_publishing_keeps_the_rest_of_the_page():
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n"
    assert replaced(page, "new") == f"# Title\n\n{BEGIN}\nnew\n{END}\n\nThe end.\n"
    assert replaced(replaced(page, "new"), "old") == page


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("no markers", id="none"),
        pytest.param(BEGIN, id="no end"),
        pytest.param(f"{END}{BEGIN}", id="wrong order"),
        pytest.param(f"{BEGIN}{END}{BEGIN}{END}", id="twice"),
    ],
)
def test_page_without_its_two_markers_is_an_error(page):
    with pytest.raises(ValueError, match="once each"):
        replaced(page, "new")
