"""Business Unit: evidence | Status: current.

The evidence store's objects in S3. `If-None-Match: *` makes the put conditional on the service's side, so that nothing kept
is ever overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.evidence.errors import EvidenceUnavailable

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
        """Store `body` unless the key exists already; say whether this call stored it."""
        for _ in range(_ATTEMPTS):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                if code in _EXISTS:
                    return False
                if code != _CONFLICT:
                    raise EvidenceUnavailable(f"s3 put {key}: {error}") from error
            except BotoCoreError as error:
                raise EvidenceUnavailable(f"s3 put {key}: {error}") from error
            else:
                return True
        raise EvidenceUnavailable(f"s3 put {key}: another write of the same key was in progress {_ATTEMPTS} times")

    def get(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _ABSENT:
                return None
            raise EvidenceUnavailable(f"s3 get {key}: {error}") from error
        except BotoCoreError as error:
            raise EvidenceUnavailable(f"s3 get {key}: {error}") from error
