"""What tests of adapters share."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.moto_patches import patch_moto
from tests.fakes import REGION
from tests.unit.adapters.exports_table import TABLE


@pytest.fixture
def client() -> Iterator[Any]:
    """DynamoDB with the table of exports."""
    patch_moto()
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "export_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "export_id", "KeyType": "HASH"}],
        )
        yield client
