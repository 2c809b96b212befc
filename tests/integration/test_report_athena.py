"""Comparisons read through Athena: the same frames, a bounded wait, and nothing but names in a query."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date

import boto3
import pandas as pd
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from reports.data.frames import DOCUMENTS, AthenaSource, load_frames
from shadow.contracts.errors import UnreachableSource
from tests.factories.comparisons import Given, comparison_of, diverged, document

FIRST, LAST = date(2025, 11, 3), date(2025, 11, 4)
QUERY = {"QueryExecutionId": "query-1"}
RESULT = {"OutputLocation": "s3://results/query-1.csv"}


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="results")
        yield


def result_of(rows: list[dict[str, str]]) -> None:
    """Write a result as Athena does: every cell quoted, quotes doubled."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    boto3.client("s3").put_object(Bucket="results", Key="query-1.csv", Body=out.getvalue().encode())


def answering(*states: str, sql: str | None = None) -> tuple[AthenaSource, list[float]]:
    athena = boto3.client("athena")
    stubber = Stubber(athena)
    expected = {"QueryString": sql, "QueryExecutionContext": {"Database": "shadow"}, "WorkGroup": "primary"} if sql else None
    stubber.add_response("start_query_execution", QUERY, expected)
    for state in states:
        execution = {"Status": {"State": state, "StateChangeReason": "because"}, "ResultConfiguration": RESULT}
        stubber.add_response("get_query_execution", {"QueryExecution": execution}, QUERY)
    stubber.activate()
    pauses: list[float] = []
    return AthenaSource(athena, boto3.client("s3"), "shadow", pause=pauses.append), pauses


def test_the_table_gives_the_same_frames_as_the_documents_themselves() -> None:
    pairs = [comparison_of(FIRST), diverged(comparison_of(LAST))]
    result_of([{"path": f"document-{number}", "document": document(pair).decode()} for number, pair in enumerate(pairs)])
    source, pauses = answering(
        "QUEUED", "RUNNING", "SUCCEEDED", sql=DOCUMENTS.format(table="comparisons", first=FIRST, last=LAST)
    )
    frames = load_frames(source, FIRST, LAST)

    pd.testing.assert_frame_equal(frames.pairs, load_frames(Given(*pairs)).pairs)
    pd.testing.assert_frame_equal(frames.trades, load_frames(Given(*pairs)).trades)
    assert len(pauses) == 2


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_query_that_fails_says_why(state: str) -> None:
    source, _ = answering("RUNNING", state)
    with pytest.raises(UnreachableSource, match=f"{state}: because"):
        load_frames(source, FIRST, LAST)


def test_waiting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.data.frames._POLLS", 3)
    source, pauses = answering("RUNNING", "RUNNING", "RUNNING")
    with pytest.raises(UnreachableSource, match="RUNNING"):
        load_frames(source, FIRST, LAST)
    assert len(pauses) == 3


def test_a_refusal_of_the_service_is_a_typed_error() -> None:
    athena = boto3.client("athena")
    stubber = Stubber(athena)
    stubber.add_client_error("start_query_execution", "AccessDeniedException")
    stubber.activate()
    with pytest.raises(UnreachableSource, match=r"athena:shadow\.comparisons"):
        load_frames(AthenaSource(athena, boto3.client("s3"), "shadow"), FIRST, LAST)


@pytest.mark.parametrize("name", ["", 'x"; DROP TABLE y', "Shadow", "a.b"])
def test_a_name_that_is_more_than_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="plain lower-case name"):
        AthenaSource(boto3.client("athena"), boto3.client("s3"), "shadow", table=name)
