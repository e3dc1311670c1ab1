"""A watch whose object's content is to be verified, by the real parts over the simulated API and moto."""

import json

from local.bam import bam
from tests.integration.content_world import TABLE
from tests.integration.harness import FILE, World, completed


def test_completed_export_waits_for_the_check_of_its_content(calm: World) -> None:
    queue_url = calm.aws.client("sqs").create_queue(QueueName="content")["QueueUrl"]
    calm.aws.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "object", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "object", "KeyType": "HASH"}],
    )
    calm.variables = {
        "CONTENT_CHECK_MAX_GIB": "1",
        "CONTENT_QUEUE_URL": queue_url,
        "CONTENT_CHECKS_TABLE_NAME": TABLE,
    }
    calm.watch = calm.worker()
    calm.platform.add_file(FILE, name="S1.bam", size=len(bam()), project="rfranklin/my-project")
    calm.platform.deliver = lambda job: calm.aws.client("s3").put_object(
        Bucket="bucket", Key=job.location, Body=bam(), ACL="public-read", ServerSideEncryption="AES256"
    )
    job = calm.platform.add_job(completed("whole", location="S1.bam"))
    message = calm.announced(job.id)
    assert calm.look(message) == [message]
    assert calm.events() == []
    [asked] = calm.aws.client("sqs").receive_message(QueueUrl=queue_url)["Messages"]
    assert json.loads(asked["Body"])["target"]["key"] == "S1.bam"
