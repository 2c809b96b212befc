"""Tables with this system's keys, in moto."""

from __future__ import annotations

import boto3


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
    boto3.client("dynamodb", region_name="us-east-1").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": secondary} if secondary else {}),  # type: ignore[arg-type]
    )
