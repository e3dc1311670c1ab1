import time

import pytest

from local.export_jobs import documented_completed, documented_failed
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to


@pytest.fixture(scope="module")
def stack():
    platform = Platform(TOKEN)
    platform.add_volume("rfranklin/output", bucket="bucket", prefix="results")
    platform.add_file("576159f7f53e9e1de6ae7b5f0", name="output.vcf", size=1234, project="rfranklin/my-project")
    with Stack(platform, parameters={"MinPollSeconds": "1"}) as running:
        platform.deliver = deliver_to(running)
        yield running


def soon(find):
    """The first result of `find` that is not empty, within half a minute."""
    end = time.monotonic() + 30
    while not (found := find()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def test_an_announced_export_reaches_a_subscriber_and_the_mail(stack):
    job = stack.platform.add_job(documented_completed())
    stack.announce({"export_id": job.id, "context": {"sample": "ø"}})
    [notification] = stack.receive()
    assert notification.event["id"] == f"{job.id}:completed"
    assert notification.event["data"]["object"]["key"] == "results/output.vcf"
    assert notification.event["data"]["context"] == {"sample": "ø"}
    assert notification.attributes["type"] == "cgc.export.completed.v1"
    _, subject, text = stack.mails()[-1]
    assert subject == notification.subject
    assert "s3://bucket/results/output.vcf" in text


def test_buckets_take_the_acls_that_exports_ask_for(stack):
    controls = stack.client("s3").get_bucket_ownership_controls(Bucket="bucket")["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerPreferred"}]


def test_a_failed_export_sent_straight_to_the_queue_reaches_a_subscriber(stack):
    job = stack.platform.add_job(documented_failed())
    stack.send(f'{{"id": "{job.id}"}}')
    [notification] = stack.receive()
    assert notification.attributes["reason"] == "EXPORT_FAILED"
    assert notification.attributes["error_code"] == "9107"


def test_invalid_message_is_in_the_dead_letter_queue_and_is_logged(stack):
    stack.send("rubbish")
    [dead_letter] = soon(stack.dead_letters)
    assert dead_letter.body == "rubbish"
    assert dead_letter.error.startswith("body")
    [line] = soon(lambda: [line for line in stack.logs() if line.get("error")])
    assert line["error"] == dead_letter.error


def test_the_function_can_be_invoked_directly(stack):
    event = {"source": "cgc.exports", "detail-type": "Export Started", "detail": {}}
    invocation = stack.invoke(event)
    assert invocation.status == "raised"
    assert "export_id" in invocation.error["errorMessage"]
