"""Where a large plan's trades should lie and do not, the error says so, whatever the state says of the place."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from shadow.aws.objects import S3PlanStore
from shadow.contracts.errors import InvalidPayload, ShadowError
from shadow.execution.ports import PlanObjectCorrupt


@pytest.fixture
def plans() -> Iterator[S3PlanStore]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="plans")
        client.put_object(Bucket="plans", Key="text", Body=b"{not json")
        client.put_object(Bucket="plans", Key="deep", Body=b"[" * 100_000)
        yield S3PlanStore(client, "plans")


@pytest.mark.parametrize(
    ("bucket", "key", "kind"),
    [
        ("", "k", PlanObjectCorrupt),
        ("a b", "k", PlanObjectCorrupt),
        ("elsewhere", "k", PlanObjectCorrupt),
        ("plans", "", PlanObjectCorrupt),
        ("plans", "absent", PlanObjectCorrupt),
        ("plans", "x" * 2_000, PlanObjectCorrupt),
        ("plans", "\ud800", PlanObjectCorrupt),
        ("plans", "text", InvalidPayload),
        ("plans", "deep", InvalidPayload),
    ],
)
def test_a_place_without_trades_is_told(bucket: str, key: str, kind: type[ShadowError], plans: S3PlanStore) -> None:
    with pytest.raises(kind) as caught:
        plans.read_phase(bucket, key)
    assert len(str(caught.value)) < 500
