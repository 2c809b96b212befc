"""What scanners report is either explained or told, and an explanation that explains nothing is told too."""

from __future__ import annotations

from local.security.__main__ import Exempted, Finding, exceptions, judged

FOUND = Finding(id="B105", where="local/stack.py", told="a password")


def test_a_finding_needs_a_reason_and_a_reason_a_finding() -> None:
    assert judged([FOUND], [Exempted(id="B105", where="local/*", why="made up")]) == []
    assert judged([FOUND], []) == ["B105 local/stack.py: a password"]
    assert len(judged([FOUND], [Exempted(id="B105", where="shadow/*", why="other")])) == 2


def test_every_written_reason_says_something() -> None:
    assert all(len(each.why) > 20 for each in exceptions())
