"""Who may do what with the stack: calls that its policies allow, and calls that they deny.

Each principal other than the stack's roles is the strongest of its kind: an `administrator` of the account, the
`subscriber`'s account and a `stranger` may do everything by policies of their own; a `colleague` has no policy.
"""

import os

import pytest

from local.emulator import ACCOUNT_ID, REGION
from tests.contract.access import ENGINE, Call, Policies
from tools.translated_template import EVERY_PART

ROLE, WORKER = "ExportMonitorRole", "ContentCheckRole"
EVENTS, SNS, CLOUDWATCH = "events.amazonaws.com", "sns.amazonaws.com", "cloudwatch.amazonaws.com"
SECRET, KEY = EVERY_PART["TokenSecretArn"], EVERY_PART["KmsKeyArns"]
OTHER_SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:another-AbCdEf"
OBJECT, BUCKET = "arn:aws:s3:::first-bucket/S1/output.bam", "arn:aws:s3:::first-bucket"
START_TOPIC = EVERY_PART["StartEventTopicArns"].split(",")[1]
ALARM = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:any"
ANOTHER_RULE = f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/another"
ANOTHER_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:another"
OF_ANOTHER_ACCOUNT = {
    EVENTS: f"arn:aws:events:{REGION}:999999999999:rule/any",
    SNS: f"arn:aws:sns:{REGION}:999999999999:any",
    CLOUDWATCH: f"arn:aws:cloudwatch:{REGION}:999999999999:alarm:any",
}
READ, SEND = ("sqs:ReceiveMessage", "sqs:DeleteMessage"), "sqs:SendMessage"
CHANGES_OF_OBJECTS = ("s3:PutObject", "s3:PutObjectAcl", "s3:DeleteObject", "s3:DeleteObjectVersion")
CHANGES_OF_BUCKETS = ("s3:PutBucketPolicy", "s3:DeleteBucket", "s3:PutLifecycleConfiguration")
QUEUES = ("ExportQueue", "DeadLetterQueue", "ContentQueue", "UndeliveredEventsQueue")
TOPICS = ("ExportEventsTopic", "AlarmsTopic")


def subscribing(who: str, protocol: str, topic: str = "ExportEventsTopic") -> Call:
    return Call(who, "sns:Subscribe", topic, context=(("sns:Protocol", protocol),))


def decrypting(who: str, via: str) -> Call:
    return Call(who, "kms:Decrypt", KEY, context=(("kms:ViaService", f"{via}.{REGION}.amazonaws.com"),) if via else ())


def without_tls(who: str, action: str, resource: str, source: str = "") -> Call:
    return Call(who, action, resource, source, (("aws:SecureTransport", "false"),))


ALLOWED = [
    # Start events arrive.
    Call(EVENTS, SEND, "ExportQueue", "StartEventRule"),
    Call(EVENTS, SEND, "DeadLetterQueue", "StartEventRule"),
    Call(SNS, SEND, "ExportQueue", START_TOPIC),
    Call("administrator", SEND, "ExportQueue"),
    # The function reads what it verifies, and publishes.
    *(Call(ROLE, action, "ExportQueue") for action in (*READ, SEND, "sqs:ChangeMessageVisibility")),
    Call(ROLE, SEND, "DeadLetterQueue"),
    Call(ROLE, SEND, "ContentQueue"),
    Call(ROLE, "secretsmanager:GetSecretValue", SECRET),
    Call(ROLE, "s3:GetObject", OBJECT),
    Call(ROLE, "s3:ListBucket", BUCKET),
    Call(ROLE, "sns:Publish", "ExportEventsTopic"),
    Call(ROLE, "s3:PutObject", "ReportBucket/groups/run-42/report.csv"),
    decrypting(ROLE, "s3"),
    decrypting(ROLE, "secretsmanager"),
    # The worker reads content.
    *(Call(WORKER, action, "ContentQueue") for action in (*READ, SEND)),
    Call(WORKER, SEND, "DeadLetterQueue"),
    Call(WORKER, "s3:GetObject", OBJECT),
    Call(WORKER, "dynamodb:UpdateItem", "ContentChecks"),
    decrypting(WORKER, "s3"),
    # Subscribers.
    *(subscribing("subscriber", protocol) for protocol in ("sqs", "lambda", "https")),
    *(subscribing("administrator", protocol) for protocol in ("sqs", "https", "email")),
    # Alarms, and e-mail that could not be delivered.
    Call(CLOUDWATCH, "sns:Publish", "AlarmsTopic", ALARM),
    *(Call(SNS, SEND, "UndeliveredEventsQueue", topic) for topic in TOPICS),
    *(
        Call("administrator", action, queue)
        for action in READ
        for queue in ("DeadLetterQueue", "UndeliveredEventsQueue")
    ),
]

DENIED = [
    # Nobody but the function publishes events; nobody but alarms of this account publishes alarms by its policy.
    *(
        Call(who, "sns:Publish", "ExportEventsTopic")
        for who in ("administrator", "subscriber", "stranger", "anonymous")
    ),
    Call(CLOUDWATCH, "sns:Publish", "ExportEventsTopic", ALARM),
    Call(WORKER, "sns:Publish", "ExportEventsTopic"),
    *(
        Call(who, "sns:Publish", "AlarmsTopic")
        for who in (ROLE, WORKER, "colleague", "subscriber", "stranger", "anonymous")
    ),
    # Subscribing needs a policy of one's own, and from elsewhere an account that is named.
    *(subscribing(who, "sqs") for who in ("colleague", "stranger", "anonymous")),
    *(subscribing(who, "sqs", "AlarmsTopic") for who in ("subscriber", "stranger", "anonymous")),
    *(
        Call("subscriber", action, "ExportEventsTopic")
        for action in ("sns:SetTopicAttributes", "sns:AddPermission", "sns:DeleteTopic", "sns:ListSubscriptionsByTopic")
    ),
    # Only principals of the account may use queues, and services only for the sources that the policies name.
    *(
        Call(who, action, queue)
        for who in ("colleague", "subscriber", "stranger", "anonymous")
        for action in (*READ, SEND)
        for queue in QUEUES
    ),
    *(Call(service, SEND, queue, source) for service, source in OF_ANOTHER_ACCOUNT.items() for queue in QUEUES),
    *(
        Call(service, "sns:Publish", topic, source)
        for service, source in OF_ANOTHER_ACCOUNT.items()
        for topic in TOPICS
    ),
    *(Call(EVENTS, SEND, queue, "StartEventRule") for queue in ("ContentQueue", "UndeliveredEventsQueue")),
    *(Call(EVENTS, SEND, queue, ANOTHER_RULE) for queue in QUEUES),
    *(Call(SNS, SEND, queue, ANOTHER_TOPIC) for queue in QUEUES),
    *(Call(SNS, SEND, queue, START_TOPIC) for queue in QUEUES[1:]),
    *(Call(SNS, SEND, queue, topic) for queue in QUEUES[:3] for topic in TOPICS),
    # Without TLS, everyone is denied.
    *(without_tls("administrator", action, queue) for action in (*READ, SEND) for queue in QUEUES),
    *(without_tls(ROLE, action, "ExportQueue") for action in (*READ, SEND)),
    without_tls(ROLE, "sns:Publish", "ExportEventsTopic"),
    without_tls("administrator", "sns:Publish", "AlarmsTopic"),
    without_tls(CLOUDWATCH, "sns:Publish", "AlarmsTopic", ALARM),
    without_tls(EVENTS, SEND, "ExportQueue", "StartEventRule"),
    without_tls(SNS, SEND, "UndeliveredEventsQueue", "ExportEventsTopic"),
    # The roles change no bucket or object, and read no other bucket, secret or queue.
    *(Call(role, action, OBJECT) for role in (ROLE, WORKER) for action in CHANGES_OF_OBJECTS),
    *(Call(role, action, BUCKET) for role in (ROLE, WORKER) for action in CHANGES_OF_BUCKETS),
    *(Call(role, "s3:GetObject", "arn:aws:s3:::another-bucket/S1/output.bam") for role in (ROLE, WORKER)),
    # Reports are written below groups/, and never read or deleted.
    Call(ROLE, "s3:PutObject", "ReportBucket/report.csv"),
    *(
        Call(ROLE, action, "ReportBucket/groups/run-42/report.csv")
        for action in ("s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectAcl")
    ),
    *(Call(ROLE, action, "ReportBucket") for action in ("s3:ListBucket", *CHANGES_OF_BUCKETS)),
    *(
        Call(WORKER, action, "ReportBucket/groups/run-42/report.csv")
        for action in ("s3:GetObject", *CHANGES_OF_OBJECTS)
    ),
    Call(ROLE, "secretsmanager:GetSecretValue", OTHER_SECRET),
    Call(ROLE, "secretsmanager:PutSecretValue", SECRET),
    *(Call(ROLE, action, queue) for action in READ for queue in QUEUES[1:]),
    *(subscribing(role, "sqs") for role in (ROLE, WORKER)),
    *(decrypting(ROLE, via) for via in ("", "dynamodb")),
    # The worker has no access to the token, to watched exports, or to what was published.
    *(Call(WORKER, action, "ExportQueue") for action in (*READ, SEND)),
    Call(WORKER, "secretsmanager:GetSecretValue", SECRET),
    Call(WORKER, "s3:ListBucket", BUCKET),
    *(
        Call(WORKER, action, table)
        for action in ("dynamodb:GetItem", "dynamodb:UpdateItem")
        for table in ("Ledger", "GroupLedger")
    ),
    *(decrypting(WORKER, via) for via in ("", "secretsmanager")),
]


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies()


@pytest.fixture(scope="module")
def verdicts(policies: Policies) -> dict[Call, bool]:
    if not (ENGINE / "installed").is_file() and "CI" not in os.environ:
        pytest.skip("the policy engine is not installed: `make test` does it where npm is found")
    calls = [*ALLOWED, *DENIED]
    return dict(zip(calls, policies.allow(calls), strict=True))


def test_calls_that_somebody_needs_are_allowed(verdicts: dict[Call, bool]) -> None:
    assert [str(call) for call in ALLOWED if not verdicts[call]] == []


def test_calls_that_nobody_should_make_are_denied(verdicts: dict[Call, bool]) -> None:
    assert [str(call) for call in DENIED if verdicts[call]] == []


def test_no_call_is_in_both_lists() -> None:
    assert len({*ALLOWED, *DENIED}) == len(ALLOWED) + len(DENIED)


def test_every_queue_and_topic_is_in_the_lists(policies: Policies) -> None:
    assert (set(policies.queues), set(policies.topics)) == (set(QUEUES), set(TOPICS))
