"""Judging the pairs of a bucket again: the index of margins is kept in the user's cache, and documents are read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import boto3
import pytest

from reports.rejudge import rejudge
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.settlement.judging import code_version
from shadow.settlement.stored import S3Source
from tests.factories.cloud_tables import fresh_aws
from tests.strategies.outcomes import DAY, random_case

BUCKET = "alchemiser-dev-shadow-evidence-123456789012"
EVER = (date(2000, 1, 1), date(2999, 12, 31))


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Source]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with fresh_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        for seed in range(4):
            comparison = judge(replace(random_case(seed, 4), code_version=code_version()), default_policy())
            content = canonical_bytes(comparison)
            key = f"comparisons/day={DAY + timedelta(days=seed % 2)}/{comparison.run_id}-{digest_of(content)[:16]}.json"
            s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        yield S3Source(BUCKET, s3)


def test_documents_are_read_once_and_the_answer_is_the_same(
    bucket: S3Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = default_policy()
    right = rejudge(bucket, policy, *EVER, keep=False, whole=True).to_wire() | {"judged": 0}

    assert rejudge(bucket, policy, *EVER).to_wire() == right
    assert (tmp_path / "shadow" / f"{BUCKET}.margins").is_file()

    monkeypatch.setattr(S3Source, "read", lambda *_: pytest.fail("a document was read again"))
    assert rejudge(bucket, policy, *EVER).to_wire() == right
