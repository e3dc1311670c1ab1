"""The patterns of the template's parameters: what they take, and that nothing they take widens a policy."""

import re

import pytest

from local.template import template
from tools.translated_template import EVERY_PART

# For each parameter that has a pattern, a valid value.
VALID = EVERY_PART | {
    "ExportBuckets": "a-bucket",
    "StartEventTopicArns": "arn:aws:sns:us-east-1:123456789012:starts",
    "SubscriberAccountIds": "210987654321",
    "EventBusName": "default",
    "StartEventSource": "cgc.exports",
    "ApiBaseUrl": "https://cgc-api.sbgenomics.com/v2",
    "ApiRequestsPerMinute": "100",
    "ContentCheckConcurrency": "10",
    "ContentPartMiB": "4096",
    "ReportRetentionDays": "365",
}
PATTERNS = {name: one["AllowedPattern"] for name, one in template()["Parameters"].items() if "AllowedPattern" in one}
# What means something to IAM (a wildcard, a policy variable) or ends a JSON string, and what never shows.
HOSTILE = ("*", "?", "${aws:username}", '"', "'", "\\", " ", "\n", "\0", "\u200b")
# An address may hold most of these, and enters no policy.
HOSTILE_IN_AN_ADDRESS = ("*", " ", "\n")


@pytest.mark.parametrize("name", PATTERNS)
def test_no_parameter_takes_what_would_widen_or_break_a_policy(name: str) -> None:
    taken = VALID[name]
    assert re.fullmatch(PATTERNS[name], taken)
    for hostile in HOSTILE_IN_AN_ADDRESS if name == "NotificationEmail" else HOSTILE:
        assert not re.fullmatch(PATTERNS[name], hostile)
        for at in range(len(taken) + 1):
            for rest in (taken[at:], taken[at + 1 :], ""):
                assert not re.fullmatch(PATTERNS[name], taken[:at] + hostile + rest)


def test_every_text_that_enters_a_policy_has_a_pattern() -> None:
    parameters = template()["Parameters"]
    free = {
        name
        for name, one in parameters.items()
        if one["Type"] in ("String", "CommaDelimitedList") and not one.keys() & {"AllowedPattern", "AllowedValues"}
    }
    assert free == set()


@pytest.mark.parametrize(
    "name", ["my-bucket", "my.bucket.2", "My_Bucket.Of-2009", "_" + "A" * 254, "abc", "mrap", "my-s3alias-bucket"]
)
def test_export_bucket_may_be_any_general_purpose_bucket_however_old(name: str) -> None:
    assert re.fullmatch(PATTERNS["ExportBuckets"], name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TokenSecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:cgc-token"),
        ("TokenSecretArn", "arn:aws:ssm:us-east-1:123456789012:parameter/cgc-token-AbCdEf"),
        ("StartEventTopicArns", "arn:aws:iam::123456789012:root"),
        ("KmsKeyArns", "arn:aws:kms:us-east-1:123456789012:alias/mine"),
        ("SubscriberAccountIds", "arn:aws:iam::210987654321:root"),
        ("SubscriberAccountIds", "21098765432"),
        ("SubscriberAccountIds", "2109876543210"),
        ("SubscriberAccountIds", "o-a1b2c3d4e5f6"),
        ("SubscriberAccountIds", "\u0662\u0661\u0660\u0669\u0668\u0667\u0666\u0665\u0664\u0663\u0662\u0661"),
        ("ExportBuckets", "arn:aws:s3:::bucket"),
        ("ExportBuckets", "bucket/key"),
        ("ExportBuckets", "ab"),
        ("ExportBuckets", "A" * 256),
        ("ExportBuckets", "bücket"),
        ("ExportBuckets", "my-bucket--use1-az4--x-s3"),
        ("ExportBuckets", "my-access-point-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias"),
        ("ExportBuckets", "my-object-lambda-acc-1a4n8yjrb3kda96f67zwrwiiuse1a--ol-s3"),
        ("ExportBuckets", "63a8b4d4-1f4e-4d2b--table-s3"),
        ("ExportBuckets", "mfzwi23gnjvgw.mrap"),
        ("ApiBaseUrl", "http://cgc-api.sbgenomics.com/v2"),
        ("ApiBaseUrl", "https://user@cgc-api.sbgenomics.com/v2"),
        ("ApiBaseUrl", "http://localhost.example.org/v2"),
    ],
)
def test_pattern_takes_neither_a_whole_account_nor_another_service(name: str, value: str) -> None:
    assert not re.fullmatch(PATTERNS[name], value)
