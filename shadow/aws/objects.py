"""Business Unit: evidence | Status: current.

The evidence store's objects in S3. `If-None-Match: *` makes the put conditional on the service's side, so that nothing kept
is ever overwritten.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from shadow.aws.clients import code_of, transient_as, unavailable
from shadow.contracts.errors import EvidenceUnavailable, FieldFault, InvalidPayload
from shadow.contracts.vocabulary import Side
from shadow.contracts.workflow import ClaimCheck, WorkflowPlan, WorkflowTrade
from shadow.execution.ports import PlanObjectCorrupt

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EXISTS = frozenset({"PreconditionFailed", "412"})
_CONFLICT = "ConditionalRequestConflict"
_ATTEMPTS = 3
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Objects:
    """Objects in one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Keep objects in `bucket`."""
        self._client = client
        self._bucket = bucket

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """Store `body` unless the key exists already; say whether this call stored it. Raises `EvidenceUnavailable`."""
        for _ in range(_ATTEMPTS):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) in _EXISTS:
                    return False
                if code_of(error) != _CONFLICT:
                    raise unavailable(f"s3 put {key}", error) from error
            except BotoCoreError as error:
                raise unavailable(f"s3 put {key}", error) from error
            else:
                return True
        raise EvidenceUnavailable(f"s3 put {key}: another write of the same key was in progress {_ATTEMPTS} times")

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise unavailable(f"s3 get {key}", error) from error
        except BotoCoreError as error:
            raise unavailable(f"s3 get {key}", error) from error


_SHOWN = 200


class S3PlanStore:
    """The `PlanStore` port over one bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        """Write to `bucket`; read from wherever a claim says."""
        self._client = client
        self._bucket = bucket

    @property
    def bucket(self) -> str:
        """Name the bucket that phases are written to."""
        return self._bucket

    def read_plan(self, check: ClaimCheck) -> tuple[WorkflowTrade, ...]:
        """Read a claim-checked plan's trades; raises PlanObjectCorrupt and InvalidPayload."""
        body = self._read(check.bucket, check.key)
        found = sha256(body).hexdigest()
        if found != check.sha256:
            raise PlanObjectCorrupt(f"{check.key}: expected SHA-256 {check.sha256}, was {found}")
        trades = WorkflowPlan.parse_json(body).trade_messages
        if len(trades) != check.trade_count:
            raise PlanObjectCorrupt(f"{check.key}: expected {check.trade_count} trades, was {len(trades)}")
        return trades

    def write_phase(self, run_id: str, side: Side, trades: tuple[WorkflowTrade, ...]) -> str:
        """Write the trades of one phase as one JSON list; give its key."""
        key = f"plans/{run_id}/{side.value.lower()}.json"
        body = json.dumps([trade.to_wire() for trade in trades], sort_keys=True, separators=(",", ":"))
        with transient_as():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body.encode(), ContentType="application/json")
        return key

    def read_phase(self, bucket: str, key: str) -> tuple[WorkflowTrade, ...]:
        """Read the trades of one phase; raises PlanObjectCorrupt and InvalidPayload."""
        body = self._read(bucket, key)
        try:
            items: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidPayload(key, [FieldFault("(whole)", "a list of trades", f"no JSON ({error})")]) from None
        if not isinstance(items, list):
            raise InvalidPayload(key, [FieldFault("(whole)", "a list of trades", type(items).__name__)])
        return tuple(WorkflowTrade.parse(item) for item in items)

    def _read(self, bucket: str, key: str) -> bytes:
        try:
            with transient_as():
                return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError as error:
            if code_of(error) not in ("NoSuchBucket", "NoSuchKey", "KeyTooLongError", "404"):
                raise
            raise PlanObjectCorrupt(f"{key[:_SHOWN]!r}: expected an object, was none") from error
        except (ParamValidationError, UnicodeEncodeError) as error:
            where = f"{bucket[:_SHOWN]!r} {key[:_SHOWN]!r}"
            raise PlanObjectCorrupt(f"{where}: expected the name of an object, was something else") from error
