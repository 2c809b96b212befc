"""An AWS of moto's for a test of its own, and tables with this system's keys in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto import mock_aws

from shadow.aws import clients

REGION = "us-east-1"


@contextmanager
def fresh_aws(*, executes: bool = False) -> Iterator[None]:
    """An AWS in which nothing is; where it `executes`, state machines run as they are written."""
    forget_clients()
    with mock_aws(config={"stepfunctions": {"execute_state_machine": executes}}):
        yield
    forget_clients()


def forget_clients() -> None:
    """Clients made in one world must not be used in the next."""
    for made in vars(clients).values():
        if hasattr(made, "cache_clear"):
            made.cache_clear()


def make_table(name: str, *indexes: str) -> None:
    """Create a table keyed PK and SK, with `indexes` keyed by their own PK and SK."""
    keys = ["PK", "SK", *(f"{index}{key}" for index in indexes for key in ("PK", "SK"))]
    secondary = [
        {
            "IndexName": index,
            "KeySchema": [
                {"AttributeName": f"{index}PK", "KeyType": "HASH"},
                {"AttributeName": f"{index}SK", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        for index in indexes
    ]
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": secondary} if secondary else {}),  # type: ignore[arg-type]
    )
