"""Business Unit: reports | Status: current.

Judging stored pairs again, offline, under another policy: which verdicts flip, and which kinds of difference appear, vanish or
weigh otherwise. The margins tell which pairs can be found otherwise, and only those are judged, by the one judge, in several
processes; severities, the register and budgets are applied to the differences that were stored.

`shadow rejudge --in-cloud`: the same judge as a Distributed Map of Step Functions over the stored comparisons, for more pairs
than one machine can judge in time. The request and the documents' names go into the evidence bucket, below `rejudge/`; the
answers come back there.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from datetime import date
from hashlib import sha256
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from shadow.compare.across_pairs import Budgeted, over_budget, uncovered
from shadow.compare.judge import verdict_by, weighed
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Difference, Verdict
from shadow.contracts.errors import InvalidPayload, UnreachableSource, UnreadableDocument
from shadow.settlement.judging import FIXED, Again, Answer, Asker, Line, WhatIf, answer_from_wire
from shadow.settlement.stored import Entry, Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient


FOLDER = "rejudge"
_ITEMS_A_CALL = 50
_POLL_SECONDS = 2.0
_LONGEST_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """The deployed state machine and the evidence bucket that it reads. `wait` is what passes between two looks, in seconds."""

    states: SFNClient
    s3: S3Client
    machine: str
    bucket: str
    wait: Callable[[float], None] = time.sleep

    def answers(self, entries: Sequence[Entry], asker: Asker) -> list[Answer]:
        """Have every document of `entries` judged as `asker` says, and give the answers in the same order.

        Raises `UnreachableSource` where the services do not answer, the execution fails, a document is left unanswered, or the
        stack is of another version and answers in another form.
        """
        if not entries:
            return []
        folder = f"{FOLDER}/{uuid4()}"
        try:
            self._put(f"{folder}/request.json", asker.model_dump_json())
            items = [[entry.name, entry.stamp] for entry in entries]
            portions = [items[start : start + _ITEMS_A_CALL] for start in range(0, len(items), _ITEMS_A_CALL)]
            self._put(f"{folder}/items.json", json.dumps(portions))
            self._run(folder)
            answers = {answer[0].name: answer for answer in self._read(folder)}
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(self.machine, "an answer of the services", str(error)) from error
        except (ValueError, TypeError) as error:
            raise UnreachableSource(self.machine, "answers in this version's form: deploy it first", str(error)) from error
        missing = [entry.name for entry in entries if entry.name not in answers]
        if missing:
            raise UnreachableSource(self.machine, f"an answer about each of {len(entries)} documents", f"none about {missing[0]}")
        return [answers[entry.name] for entry in entries]

    def _put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode(), ContentType="application/json")

    def _run(self, folder: str) -> None:
        """Start the execution and wait for its end."""
        name = folder.rsplit("/", 1)[-1]
        started = self.states.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps({"folder": folder}))[
            "executionArn"
        ]
        waited = 0.0
        while True:
            described = self.states.describe_execution(executionArn=started)
            if described["status"] == "SUCCEEDED":
                return
            if described["status"] != "RUNNING" or waited > _LONGEST_SECONDS:
                why = f"{described['status']} after {waited:.0f} s: {described.get('error', '')} {described.get('cause', '')}"
                raise UnreachableSource(started, "an execution that succeeds", why.strip())
            self.wait(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _read(self, folder: str) -> Iterator[Answer]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{folder}/answers/")
        for page in pages:
            for entry in page.get("Contents", []):
                body = self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                yield from (answer_from_wire(json.loads(line)) for line in body.splitlines())


FEW = 64
"""So many documents are read by this process alone: starting others takes longer."""
_PORTION = 32
_FORM = "shadow margins 3"
_LOG = logging.getLogger(__name__)
Kinds = dict[str, int]
_Part = tuple[Sequence[int], list[Answer]]
"""Answers, and where they stand among all."""
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Change:
    """One pair whose judgement changes: its verdicts, and the kinds of difference that came and went (with how many)."""

    plan_id: str
    trading_day: date
    before: Verdict
    after: Verdict
    came: Mapping[str, int]
    went: Mapping[str, int]

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "trading_day": self.trading_day.isoformat(),
            "before": self.before.value,
            "after": self.after.value,
            "came": dict(self.came),
            "went": dict(self.went),
        }


@dataclass(slots=True)
class Rejudged:
    """What judging again came to. `judged` pairs were given to the judge; of the others the margins were enough."""

    policy_hash: str
    pairs: int = 0
    trades: int = 0
    judged: int = 0
    before: Counter[Verdict] = field(default_factory=Counter)
    after: Counter[Verdict] = field(default_factory=Counter)
    changes: list[Change] = field(default_factory=list)
    came: Counter[str] = field(default_factory=Counter)
    went: Counter[str] = field(default_factory=Counter)

    def count(self, line: Line, before: Verdict, after: Verdict) -> None:
        """Count a pair."""
        self.pairs += 1
        self.trades += line.trades
        self.before[before] += 1
        self.after[after] += 1

    @property
    def flips(self) -> Counter[tuple[str, str]]:
        """Count the verdicts that flip, by what they were and become."""
        return Counter((change.before.value, change.after.value) for change in self.changes if change.before is not change.after)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form. `rules` counts, by kind of difference, what came and went."""
        kinds = sorted(self.came.keys() | self.went.keys())
        return {
            "policy_hash": self.policy_hash,
            "pairs": self.pairs,
            "trades": self.trades,
            "judged": self.judged,
            "before": {verdict.value: amount for verdict, amount in sorted(self.before.items())},
            "after": {verdict.value: amount for verdict, amount in sorted(self.after.items())},
            "flips": [{"before": old, "after": new, "pairs": amount} for (old, new), amount in sorted(self.flips.items())],
            "rules": {kind: {"came": self.came[kind], "went": self.went[kind]} for kind in kinds},
            "changes": [change.to_wire() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of a pair: its verdict and its differences."""

    verdict: Verdict
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Portion:
    """Documents for one process, where they stand among all, and what the index has of them."""

    source: Store
    places: tuple[int, ...]
    entries: tuple[Entry, ...]
    lines: tuple[Line | None, ...]
    asker: Asker


def rejudge(
    source: Store,
    policy: Policy,
    first: date,
    last: date,
    *,
    keep: bool = True,
    whole: bool = False,
    cloud: Cloud | None = None,
    tell: Told = lambda _done, _all: None,
) -> Rejudged:
    """Judge the stored pairs of the trading days `first` to `last` again by `policy`.

    The index of margins is kept, where `keep` says so, for the next time; `whole` gives every pair to the judge. `cloud` is where
    they are judged, by default here. `tell` hears how many documents of how many have been worked through. Raises
    `UnreachableSource`, and `UnreadableDocument` naming document and field.
    """
    place = source.index if keep else None
    known = read_index(place)
    entries = source.entries(first, last)
    lines = [line if (line := known.get(entry.name)) and line.stamp == entry.stamp else None for entry in entries]
    answers = _worked(source, entries, lines, Asker(policy=policy, first=first, last=last, whole=whole), tell=tell, cloud=cloud)
    if place is not None and None in lines:
        kept = known | {line.name: line for line, _ in answers}
        _write_index(place, kept.values())
    latest = {line.plan_id: (line, again) for line, again in answers if first <= line.trading_day <= last}
    return _told(list(latest.values()), policy)


def _worked(
    source: Store, entries: Sequence[Entry], lines: Sequence[Line | None], asker: Asker, *, tell: Told, cloud: Cloud | None
) -> list[Answer]:
    """Give every document's line, in order, with what the judge said where he was asked."""
    what_if = WhatIf(asker.policy)
    work = [place for place, line in enumerate(lines) if line is None or asker.whole or what_if.needs_the_judge(line)]
    answers: list[Answer | None] = [None if line is None else (line, None) for line in lines]
    if cloud is not None:
        parts: Iterable[_Part] = [(work, cloud.answers([entries[place] for place in work], asker))]
    else:
        portions = [
            Portion(source, tuple(part), tuple(entries[i] for i in part), tuple(lines[i] for i in part), asker)
            for part in (work[start : start + _PORTION] for start in range(0, len(work), _PORTION))
        ]
        is_much = source.can_be_sent and len(work) >= FEW
        parts = _beside_others(portions, (os.cpu_count() or 1) - 1) if is_much else _alone(portions)
    done = 0
    for places, part in parts:
        for place, answer in zip(places, part, strict=True):
            answers[place] = answer
        done += len(part)
        tell(done, len(work))
    return [answer for answer in answers if answer is not None]


def _alone(portions: Sequence[Portion]) -> Iterator[_Part]:
    """Work through the portions in this process."""
    return ((portion.places, worked(portion)) for portion in portions)


def _beside_others(portions: Sequence[Portion], others: int) -> Iterator[_Part]:
    """Work through the portions in this process, from the last to the first, and in `others`, from the first to the last.

    Starting a process takes as long as judging some hundred trades, so that this one begins at once.
    """
    if not others:
        yield from _alone(portions)
        return
    pool = ProcessPoolExecutor(min(others, len(portions)), mp_context=get_context("spawn"))
    try:
        asked = [(portion, pool.submit(worked, portion)) for portion in portions]
        while asked and asked[-1][1].cancel():
            portion, _ = asked.pop()
            yield portion.places, worked(portion)
        yield from ((portion.places, answer.result()) for portion, answer in asked)
    finally:
        pool.shutdown(cancel_futures=True)


def worked(portion: Portion) -> list[Answer]:
    """Read the documents of a portion, and judge those that need it. Raises `UnreadableDocument`, `UnreachableSource`."""
    what_if = WhatIf(portion.asker.policy)
    return [_answer(portion, entry, line, what_if) for entry, line in zip(portion.entries, portion.lines, strict=True)]


def _answer(portion: Portion, entry: Entry, line: Line | None, what_if: WhatIf) -> Answer:
    try:
        return portion.asker.answer(what_if, (entry.name, entry.stamp), portion.source.read(entry), line)
    except InvalidPayload as invalid:
        fault = invalid.faults[0]
        raise UnreadableDocument(entry.name, fault.field, f"expected {fault.expected}, was {fault.found}") from None


def _told(answers: Sequence[Answer], policy: Policy) -> Rejudged:
    """Hold both judgements to the budgets of each day, and note what changed in the order of days, publication and plans."""
    result, what_if = Rejudged(policy.hash), WhatIf(policy)
    for _, day in groupby(sorted(answers, key=lambda answer: _place(answer[0])), lambda answer: answer[0].day):
        changed = []
        for line, again in day:
            result.judged += again is not None
            if _says_the_same(line, again, what_if):
                result.count(line, Verdict(line.verdict), Verdict(line.verdict))
            else:
                changed.append((line, again))
        _tell_day(result, changed, policy)
    return result


def _says_the_same(line: Line, again: Again | None, what_if: WhatIf) -> bool:
    """Tell whether a pair is judged as it was, whatever the budgets say of others; False is not certain."""
    stored = line.stored
    alike = what_if.weighs_alike(line) if again is None else again == stored
    return alike and not stored.may_be_covered


def _tell_day(result: Rejudged, answers: Sequence[Answer], policy: Policy) -> None:
    old = {line.run_id: _said(line.stored) for line, _ in answers}
    new = {line.run_id: _said(again) if again else _weighed(line, old[line.run_id], policy) for line, again in answers}
    before = _within_budgets([line for line, _ in answers if line.policy_hash == result.policy_hash], old, policy)
    after = _within_budgets([line for line, _ in answers], new, policy)
    for line, _ in answers:
        _note(result, line, before[line.run_id], after[line.run_id])


def _said(again: Again) -> _Said:
    return _Said(again.verdict, again.differences)


def _place(line: Line) -> tuple[str, str, str, str]:
    return (line.day, line.origin, line.published, line.plan_id)


def _weighed(line: Line, stored: _Said, policy: Policy) -> _Said:
    differences = weighed(stored.differences, policy, line.trading_day) if stored.differences else ()
    return _Said(stored.verdict if stored.verdict in FIXED else verdict_by(differences), differences)


def _within_budgets(lines: Iterable[Line], said: Mapping[str, _Said], policy: Policy) -> dict[str, _Said]:
    """Give what was said of every pair; in those of `lines`, what lies beyond the budgets of a day is uncovered."""
    day = [
        Budgeted(line.plan_id, line.run_id, line.trading_day, line.origin, line.published_at, said[line.run_id].differences)
        for line in lines
        if line.run_id in said
    ]
    beyond = over_budget(day, {entry.id: entry.budget_a_day for entry in policy.known})
    return dict(said) | {run_id: _beyond(said[run_id], over) for run_id, over in beyond.items()}


def _beyond(said: _Said, over: frozenset[str]) -> _Said:
    differences = uncovered(said.differences, over)
    return _Said(said.verdict if said.verdict in FIXED else verdict_by(differences), differences)


def _note(result: Rejudged, line: Line, before: _Said, after: _Said) -> None:
    result.count(line, before.verdict, after.verdict)
    marks = list(_marks(before.differences)), list(_marks(after.differences))
    if marks[0] == marks[1] and before.verdict is after.verdict:
        return
    old, new = map(Counter, marks)
    came, went = _kinds(new - old), _kinds(old - new)
    if came or went or before.verdict is not after.verdict:
        result.changes.append(Change(line.plan_id, line.trading_day, before.verdict, after.verdict, came, went))
        result.came.update(came)
        result.went.update(went)


def _marks(differences: Iterable[Difference]) -> Iterator[tuple[str, tuple[str | None, ...]]]:
    """Tell differences apart by all that a policy decides: severity, cover, cause; a change of these is a coming and a going."""
    for entry in differences:
        cover = (entry.covered_by, entry.over_budget, entry.caused_by)
        yield entry.kind, (entry.key, entry.severity, entry.attribution, *cover)


def _kinds(marks: Counter[tuple[str, tuple[str | None, ...]]]) -> Kinds:
    kinds: Counter[str] = Counter()
    for (kind, _), amount in marks.items():
        kinds[kind] += amount
    return dict(sorted(kinds.items()))


def read_index(path: Path | None) -> dict[str, Line]:
    """Read the index at `path`, by document name; empty where there is none. A damaged one is told and not used."""
    if path is None or not path.is_file():
        return {}
    try:
        lines = (Line(*json.loads(text)) for text in _body(path.read_bytes()).splitlines())
        return {line.name: line for line in lines}
    except (OSError, ValueError, TypeError) as damage:
        _LOG.warning("%s: the index of margins is damaged (%s) and is made again from the documents", path, damage)
        return {}


def _body(content: bytes) -> bytes:
    """Give the lines of an index. Raises ValueError where they are not what was written."""
    form, digest, body = content.split(b"\n", 2)
    if form != _FORM.encode() or sha256(body).hexdigest().encode() != digest:
        raise ValueError("it is not what was written")
    return body


def _write_index(path: Path, lines: Iterable[Line]) -> None:
    """Write the index; where that cannot be, a warning says so and nothing is kept."""
    body = b"".join(json.dumps(astuple(line), separators=(",", ":")).encode() + b"\n" for line in lines)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"\n".join((_FORM.encode(), sha256(body).hexdigest().encode(), body)))
        part.replace(path)
    except OSError as error:
        _LOG.warning("%s: expected to be written, was %s; the index of margins is not kept", path, error.strerror)
        with suppress(OSError):
            part.unlink()
