"""Which names may enter a path, which volumes are Amazon's, and where an object is looked for."""

import pytest

from export_monitor.domain.object_location import candidate_keys, is_on_amazon_s3, is_volume_name
from tests.unit.builders import a_volume


@pytest.mark.parametrize("name", ["rfranklin/output", "my-division/v_1", "a.b@c+d/v", "a/..b", "o/" + "v" * 128])
def test_volume_names_may_enter_a_path(name: str) -> None:
    assert is_volume_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "/", "a/", "/b", "a/b/c", "../x", "a/..", "a/.", "./b", "a/b?c", "a/b#c", "a/b c", "a/ü", "a/b\n"),
        *("a/%2e%2e", "a\\b/c", "a:b/c", "o/" + "v" * 129),
    ],
)
def test_other_names_may_not(name: str) -> None:
    assert not is_volume_name(name)


@pytest.mark.parametrize(
    ("endpoint", "is_amazon"),
    [
        (None, True),
        ("", True),
        ("s3.amazonaws.com", True),
        ("S3.Amazonaws.com", True),
        ("https://s3.us-west-2.amazonaws.com/", True),
        ("s3.dualstack.eu-west-1.amazonaws.com:443", True),
        ("s3.cn-north-1.amazonaws.com.cn", True),
        ("s3.eusc-de-east-1.amazonaws.eu", True),
        ("s3.amazonaws.eu.example.org", False),
        ("storage.googleapis.com", False),
        ("amazonaws.com.example.org", False),
        ("s3.amazonaws.com@example.org", False),
        ("example.org/s3.amazonaws.com", False),
        ("notamazonaws.com", False),
        ("minio.local:9000", False),
    ],
)
def test_endpoint_is_amazon_s_or_not(endpoint: str | None, is_amazon: bool) -> None:
    assert is_on_amazon_s3(a_volume(endpoint=endpoint)) is is_amazon


@pytest.mark.parametrize(("service_type", "is_s3"), [("s3", True), ("S3", True), ("gcs", False), ("azure", False)])
def test_type_of_a_volume_is_written_either_way(service_type: str, is_s3: bool) -> None:
    assert is_on_amazon_s3(a_volume(type=service_type)) is is_s3


@pytest.mark.parametrize(
    ("prefix", "location", "keys"),
    [
        ("", "a.vcf", ("a.vcf",)),
        ("", "/a.vcf", ("a.vcf", "/a.vcf")),
        ("/", "a.vcf", ("a.vcf", "/a.vcf")),
        ("runs", "a.vcf", ("runs/a.vcf", "runsa.vcf")),
        ("runs", "/a.vcf", ("runs/a.vcf", "/a.vcf")),
        ("runs/", "a.vcf", ("runs/a.vcf",)),
        ("runs/", "/a.vcf", ("runs/a.vcf", "runs//a.vcf", "/a.vcf")),
        ("runs/2016", "dir/a.vcf", ("runs/2016/dir/a.vcf", "runs/2016dir/a.vcf")),
        ("/runs", "a b+ü.vcf", ("runs/a b+ü.vcf", "/runsa b+ü.vcf")),
        ("runs", "a//b.vcf", ("runs/a//b.vcf", "runsa//b.vcf")),
        ("", "/", ("/",)),
        ("runs", "", ()),
        ("", "ü" * 512, ("ü" * 512,)),
        ("", "ü" * 513, ()),
        ("runs", "x" * 1019, ("runs/" + "x" * 1019, "runs" + "x" * 1019)),
        ("runs", "x" * 1020, ("runs" + "x" * 1020,)),
        ("runs", "x" * 1021, ()),
        ("runs", "a\ud800", ()),
    ],
)
def test_candidate_keys_that_s3_can_hold_are_tried_in_the_contract_s_order(
    prefix: str, location: str, keys: tuple[str, ...]
) -> None:
    assert candidate_keys(prefix, location) == keys
