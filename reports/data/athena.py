"""Business Unit: reports | Status: current.

The same stored comparisons as a table: for months that one machine should not list and download object by object. The table has
one text column, `document`, and the partition `day` (projected, so no crawler); a document is read by the same decoder whether
it comes from here, from the bucket or from a folder. Summaries over everything are queries with Athena's JSON functions.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from time import sleep
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shadow.contracts.errors import UnreachableSource

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_s3 import S3Client

_NAME = re.compile(r"[a-z0-9_]{1,128}")
_DONE = {"SUCCEEDED", "FAILED", "CANCELLED"}
_POLLS, _PAUSE_SECONDS = 600, 0.5

DOCUMENTS = """
SELECT "$path" AS path, document FROM "{table}"
WHERE day BETWEEN '{first}' AND '{last}' ORDER BY "$file_modified_time", "$path"
"""

VERDICTS_BY_DAY = """
SELECT day, json_extract_scalar(document, '$.verdict') AS verdict, count(*) AS pairs
FROM "{table}" WHERE day BETWEEN '{first}' AND '{last}' AND json_extract_scalar(document, '$.origin') = 'live'
GROUP BY 1, 2 ORDER BY 1, 2
"""

KINDS_BY_DAY = """
SELECT day, json_extract_scalar(difference, '$.kind') AS kind, json_extract_scalar(difference, '$.severity') AS severity,
  count(*) AS differences, sum(abs(cast(json_extract_scalar(difference, '$.impact.notional') AS decimal(38, 10)))) AS notional
FROM "{table}" CROSS JOIN UNNEST(cast(json_extract(document, '$.differences') AS array(json))) AS t(difference)
WHERE day BETWEEN '{first}' AND '{last}' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class AthenaSource:
    """The table of comparisons. `database` and `table` are plain names, `workgroup` says where results go."""

    athena: AthenaClient
    s3: S3Client
    database: str
    table: str = "comparisons"
    workgroup: str = "primary"
    pause: Callable[[float], None] = sleep

    def __post_init__(self) -> None:
        """Refuse names that are more than names: they become part of a query."""
        for name in (self.database, self.table):
            if not _NAME.fullmatch(name):
                raise ValueError(f"database and table: expected a plain lower-case name, was {name!r}")

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents from `first` to `last`, of each run the newest last. Raises `UnreachableSource`."""
        for row in self.query(DOCUMENTS, first, last):
            yield row["path"], row["document"].encode()

    def query(self, statement: str, first: date, last: date) -> Iterator[dict[str, str]]:
        """Run one of this module's statements and give its rows. Raises `UnreachableSource`."""
        try:
            yield from self._rows(statement.format(table=self.table, first=first, last=last))
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(self._place, "an answer", type(error).__name__) from error

    @property
    def _place(self) -> str:
        return f"athena:{self.database}.{self.table}"

    def _rows(self, sql: str) -> Iterator[dict[str, str]]:
        execution = self.athena.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": self.database}, WorkGroup=self.workgroup
        )["QueryExecutionId"]
        bucket, key = self._result(execution).removeprefix("s3://").split("/", 1)
        csv.field_size_limit(sys.maxsize)
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"]
        yield from csv.DictReader(io.TextIOWrapper(io.BytesIO(body.read()), encoding="utf-8", newline=""))

    def _result(self, execution: str) -> str:
        """Wait for the query, a bounded time, and give where its result lies."""
        state = "QUEUED"
        for _ in range(_POLLS):
            found = self.athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
            status = found.get("Status", {})
            state = str(status.get("State", "QUEUED"))
            if state == "SUCCEEDED":
                return found["ResultConfiguration"]["OutputLocation"]
            if state in _DONE:
                state = f"{state}: {status.get('StateChangeReason', 'no reason given')}"
                break
            self.pause(_PAUSE_SECONDS)
        raise UnreachableSource(self._place, "the query to succeed", state)
