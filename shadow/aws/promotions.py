"""Business Unit: AWS adapters | Status: current.

The records of published versions and of promotions, in the evidence bucket: one object each, named by time and content, and
never changed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.errors import unavailable
from shadow.aws.objects import S3Objects
from shadow.contracts.errors import EvidenceCorrupt
from shadow.contracts.model import canonical
from shadow.contracts.promotion import PROMOTIONS, Promotion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class PromotionLog:
    """The promotions of one stack, in order."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Keep records in `bucket`."""
        self._client = client
        self._bucket = bucket
        self._objects = S3Objects(client, bucket)

    def keep(self, promotion: Promotion) -> str:
        """Store a record and give its key. Raises `EvidenceUnavailable`."""
        body = canonical(promotion.to_wire()).encode()
        key = f"{PROMOTIONS}{promotion.at:%Y%m%dT%H%M%S.%fZ}-{sha256(body).hexdigest()[:16]}.json"
        self._objects.put_if_absent(key, body, "application/json")
        return key

    def keys(self) -> frozenset[str]:
        """List the records. Raises `EvidenceUnavailable`."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=PROMOTIONS)
            return frozenset(entry["Key"] for page in pages for entry in page.get("Contents", []))
        except (ClientError, BotoCoreError) as error:
            raise unavailable(f"s3 list {PROMOTIONS}", error) from error

    def all(self) -> list[Promotion]:
        """Read every record, the oldest first. Raises `EvidenceUnavailable`, `EvidenceCorrupt`, `InvalidPayload`."""
        found = []
        for key in sorted(self.keys()):
            body = self._objects.get(key)
            if body is None or not key.endswith(f"-{sha256(body).hexdigest()[:16]}.json"):
                raise EvidenceCorrupt(f"{key}: expected the record that its name tells the digest of, was another")
            found.append(Promotion.parse_json(body))
        return found
