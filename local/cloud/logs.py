"""Business Unit: local cloud | Status: current.

Read what the functions wrote. The emulator keeps a stream an invocation, written whole when the invocation ends; so a stream
that was read once has nothing new, and a reader that remembers the streams it has seen never gives a line twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


_PREFIX = "/aws/lambda/"
_PLATFORM = ("START RequestId: ", "END RequestId: ", "REPORT RequestId: ")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a function wrote, on either output, and the invocation (stream) it was written in."""

    function: str
    stream: str
    at: datetime
    text: str


class LogReader:
    """Reads the lines of all functions, each line once."""

    def __init__(self, logs: CloudWatchLogsClient, *, function_prefix: str = "") -> None:
        """Read with `logs`, only functions whose name starts with `function_prefix`."""
        self._logs = logs
        self._prefix = function_prefix
        self._seen: dict[str, set[str]] = {}
        self._newest: dict[str, int] = {}

    def new_lines(self, *, platform: bool = False) -> Iterator[LogLine]:
        """Give every line of every invocation that ended since the last call; with `platform`, START, END and REPORT too."""
        for group in self._groups():
            yield from self._lines(group, platform=platform)

    def _groups(self) -> list[str]:
        pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"{_PREFIX}{self._prefix}")
        return sorted(str(group.get("logGroupName")) for page in pages for group in page.get("logGroups", []))

    def _lines(self, group: str, *, platform: bool) -> Iterator[LogLine]:
        seen = self._seen.setdefault(group, set())
        read: set[str] = set()
        for event in self._events(group):
            stream, text = str(event.get("logStreamName")), str(event.get("message"))
            stamp = int(event.get("timestamp", 0))
            self._newest[group] = max(self._newest.get(group, 0), stamp)
            if stream in seen:
                continue
            read.add(stream)
            if platform or not text.startswith(_PLATFORM):
                yield LogLine(group.removeprefix(_PREFIX), stream, datetime.fromtimestamp(stamp / 1000, UTC), text)
        seen |= read

    def _events(self, group: str) -> Iterator[FilteredLogEventTypeDef]:
        since = max(0, self._newest.get(group, 0) - 1)
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
        for page in pages:
            yield from page.get("events", [])
