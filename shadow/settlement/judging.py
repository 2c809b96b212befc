"""Business Unit: evidence | Status: current.

The judge, as settlement calls it: the pure comparison of `shadow.compare` under one policy, and its document's bytes.

Judging one stored pair again by another policy, and asking first whether that is needed: what is read of a stored comparison for
the question, the answer of its margins, and the judge's. The command line does it in processes of its own, or a Lambda function
does it beside many others of its kind.

What settlement needs from outside: the lanes' records, the plan, the judge, the broker's truth. Every reader may raise
`EvidenceUnavailable`, which means: ask again later.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shadow import __version__
from shadow.aws.clients import text_of
from shadow.aws.objects import S3Objects
from shadow.broker.recording import RECORDED
from shadow.compare.case import PairCase, case_of
from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge, verdict_and_differences, verdict_by
from shadow.compare.margins import Unchanged, weights_of
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Comparison, Difference, EvidenceRef, Margin, Margins, Needs, Verdict
from shadow.contracts.errors import EvidenceUnavailable, InvalidPayload, faults_of
from shadow.contracts.model import Frozen
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin, SizingBasis


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a judge is given of one pair."""

    pair: Pair
    plan: RebalancePlan
    control: RunOutcome | None
    candidate: RunOutcome | None
    evidence: tuple[EvidenceRef, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A comparison, its canonical bytes, and the metrics it is announced by when it is a pair's first."""

    comparison: Comparison
    body: bytes


Judge = Callable[[Case], Judgement]


Starter = Callable[[Pair], StartState]
"""Completes a pair's start under the very name and input it was published with, and records what came of it."""


_ROOMS = ("aws", "broker", "compare", "contracts", "execution", "lanes", "settlement")


def policy_at(path: str) -> Policy:
    """Read the policy at `path`; the default policy when it is empty. Raises `InvalidPolicy`, `ConfigurationError`."""
    if not path:
        return default_policy()
    return Policy.read(text_of("POLICY_PATH", path), path)


def judge_by(policy: Policy) -> Judge:
    """Give the judge of a policy, which holds whichever lane is in production."""
    code = code_version()

    def by_policy(case: Case) -> Judgement:
        comparison = judge(pair_case(case, code), policy)
        return Judgement(comparison, canonical_bytes(comparison))

    return by_policy


def pair_case(case: Case, code: str) -> PairCase:
    """Give the comparison what it needs of a case."""
    return PairCase(
        plan=case.plan,
        trading_day=case.pair.trading_day,
        published_at=case.pair.published_at,
        control=_as_emitted(_as_sized(case.control)),
        candidate=_as_sized(case.candidate),
        code_version=code,
        origin=case.pair.origin.value,
        production_lane=case.pair.production_lane,
        evidence=case.evidence,
    )


def _as_sized(run: RunOutcome | None) -> RunOutcome | None:
    """Say of a legacy lane's dry run what its table cannot: its account holds the plan's values, so exits are sized by them."""
    if run is None or run.lane is not Lane.LEGACY:
        return run
    trades = tuple(
        trade.model_copy(update={"intent": trade.intent.model_copy(update={"sizing_basis": SizingBasis.HELD_VALUE})})
        if trade.is_complete_exit and trade.intent is not None and (trade.order_id or "").startswith(RECORDED)
        else trade
        for trade in run.trades
    )
    return run.model_copy(update={"trades": trades})


def _as_emitted(control: RunOutcome | None) -> RunOutcome | None:
    """Leave out of a workflow in production the effects that it recorded and, as far as is known, never emitted.

    As a candidate it only intends them. In production an effect that did not go out is one that is missing.
    """
    if control is None or control.effects is None or control.lane is not Lane.WORKFLOW:
        return control
    return control.model_copy(update={"effects": tuple(effect for effect in control.effects if effect.emitted)})


@cache
def code_version() -> str:
    """Name the code that executes and judges: the version, and a digest of its sources, which every change of them changes.

    Candidate, comparator and `shadow rejudge` have these sources from one build, so evidence of another build is of another
    version, though nobody counted the version up.
    """
    root = Path(__file__).parents[1]
    files = sorted(path for room in _ROOMS for suffix in ("*.py", "*.toml") for path in (root / room).rglob(suffix))
    digest = sha256()
    for path in files:
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


_LOG = logging.getLogger(__name__)
_Asked = tuple[str, str, bool, str | None, dict[str, tuple[str, str | None]]]

FIXED = frozenset({Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE, Verdict.INCOMPLETE})
"""Verdicts that no difference changes."""
_COVERED = '"covered_by"'
_DIFFERENCES: TypeAdapter[tuple[Difference, ...]] = TypeAdapter(tuple[Difference, ...], config=ConfigDict(defer_build=True))


class _Part(BaseModel):
    """Reads only the fields that it names."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Item(_Part):
    action: str


class _Plan(_Part):
    items: tuple[_Item, ...]


class _Head(_Part):
    """What is read of a stored comparison for the index."""

    plan_id: str
    run_id: str
    trading_day: date
    origin: str = Origin.LIVE.value
    published_at: datetime
    verdict: Verdict
    differences: tuple[Difference, ...]
    margins: Margins | None = None
    plan: _Plan
    policy_hash: str
    code_version: str


@dataclass(frozen=True, slots=True)
class Line:
    """A stored pair without its trades, in plain values, so that a line is read as fast as its text.

    `asked` has its margins: rule, words, whether a difference shows them, what was needed, and the needs by measure. `found` has
    its differences as JSON: a text takes a quarter of the memory, and is read where it is asked for. `weights` names what weighed
    them; empty where the verdict that is stored is not the one that they come to.
    """

    name: str
    stamp: str
    sha256: str
    plan_id: str
    run_id: str
    day: str
    origin: str
    published: str
    verdict: Verdict
    policy_hash: str
    code_version: str
    trades: int
    basis: str
    weights: str
    asked: list[_Asked]
    found: str

    @property
    def trading_day(self) -> date:
        """The trading day."""
        return date.fromisoformat(self.day)

    @property
    def published_at(self) -> datetime:
        """When the plan was published."""
        return datetime.fromisoformat(self.published)

    @property
    def stored(self) -> Again:
        """What was said when the pair was stored."""
        return Again(Verdict(self.verdict), self.found)

    def margin(self, asked: _Asked) -> Margin:
        """Make the margin of what one rule was asked."""
        rule, words, shown, needed, needs = asked
        made = {name: Needs.model_validate({"permitted": low, "refused": high}) for name, (low, high) in needs.items()}
        return Margin.model_validate(
            {"rule": rule, "words": words, "measure": "", "shown": shown, "needed": needed, "needs": made}
        )


def _head_of(name: str, content: bytes) -> _Head:
    try:
        return _Head.model_validate_json(content)
    except ValidationError as error:
        raise InvalidPayload(name, faults_of(error)) from None


def _line(name: str, stamp: str, digest: str, head: _Head | Comparison) -> Line:
    margins = head.margins or Margins(basis="", weights="")
    return Line(
        name=name,
        stamp=stamp,
        sha256=digest,
        plan_id=head.plan_id,
        run_id=head.run_id,
        day=head.trading_day.isoformat(),
        origin=head.origin,
        published=head.published_at.isoformat(),
        verdict=head.verdict,
        policy_hash=head.policy_hash,
        code_version=head.code_version,
        trades=sum(item.action != "HOLD" for item in head.plan.items),
        basis=margins.basis,
        weights=margins.weights if head.verdict in (*FIXED, verdict_by(head.differences)) else "",
        asked=[_asked(margin) for margin in margins.rules],
        found=_text_of(head.differences),
    )


def _text_of(differences: tuple[Difference, ...]) -> str:
    return _DIFFERENCES.dump_json(differences, exclude_none=True).decode()


def _asked(margin: Margin) -> _Asked:
    needs = {name: (str(need.permitted), _text(need.refused)) for name, need in margin.needs.items()}
    return (margin.rule, margin.words, margin.shown, _text(margin.needed), needs)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Again:
    """What is said of one stored pair: its verdict and, as JSON, its differences, before budgets."""

    verdict: Verdict
    found: str

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The differences."""
        return _DIFFERENCES.validate_json(self.found)

    @property
    def may_be_covered(self) -> bool:
        """Tell whether an entry of the register may cover a difference; False is certain."""
        return _COVERED in self.found


Answer = tuple[Line, Again | None]


class WhatIf:
    """Tells which stored pairs a policy can find or weigh otherwise, by the lines of the index."""

    def __init__(self, policy: Policy) -> None:
        """Ask about judging by `policy`."""
        self._code = code_version()
        self._unchanged = Unchanged(policy)
        self._weights = weights_of(policy)

    def weighs_alike(self, line: Line) -> bool:
        """Tell whether the policy gives what was found in a pair the severities and the cover that are stored."""
        return line.weights == self._weights

    def needs_the_judge(self, line: Line) -> bool:
        """Tell whether only the judge can say what is found in a pair; False is certain."""
        unchanged = self._unchanged
        if line.code_version != self._code or line.basis != unchanged.basis:
            return True
        words = unchanged.words
        return any(not unchanged.answers_alike(line.margin(asked)) for asked in line.asked if asked[1] != words[asked[0]])


class Asker(Frozen):
    """Judges stored pairs again by a policy: those of the days `first` to `last` that need it, or all of them (`whole`).

    In the cloud it is stored as `request.json` in the folder of the answers.
    """

    policy: Policy
    first: date
    last: date
    whole: bool = False

    def answer(self, what_if: WhatIf, document: tuple[str, str], content: bytes, line: Line | None = None) -> Answer:
        """Give the line of a stored document (its name and stamp), and what the judge says where he is asked.

        `line` is what an index has of it. Raises `InvalidPayload` naming the document and its fields.
        """
        name, stamp = document
        digest = sha256(content).hexdigest()
        if line is not None and digest != line.sha256:
            _LOG.warning("%s: the document is not the one that the index of margins was made from; it is read again", name)
            line = None
        stored = _stored(name, content) if self.whole else None
        line = line or _line(name, stamp, digest, stored or _head_of(name, content))
        if self.first <= line.trading_day <= self.last and (self.whole or what_if.needs_the_judge(line)):
            verdict, found = verdict_and_differences(case_of(stored or _stored(name, content), code_version()), self.policy)
            return line, Again(verdict, _text_of(found))
        return line, None


def _stored(name: str, content: bytes) -> Comparison:
    try:
        return Comparison.parse_json(content)
    except InvalidPayload as invalid:
        raise InvalidPayload(name, invalid.faults) from None


def answer_to_wire(answer: Answer) -> list[object]:
    """Give the JSON-ready form of an answer."""
    line, again = answer
    return [list(astuple(line)), None if again is None else [again.verdict.value, again.found]]


def answer_from_wire(value: object) -> Answer:
    """Read what `answer_to_wire` gave. Raises ValueError, TypeError or pydantic's ValidationError for anything else."""
    if not isinstance(value, list):
        raise TypeError(f"answer: expected a list, was {type(value).__name__}")
    line, said = value
    if said is None:
        return Line(*line), None
    return Line(*line), Again(Verdict(said[0]), said[1])


def answer_batch(objects: S3Objects, folder: str, items: Sequence[tuple[str, str]]) -> int:
    """Judge the documents of `items`, each name `s3://bucket/key` with its stamp, and store the answers below `folder`.

    The answers lie under the digest of the items, so that a repeated call stores nothing else. Gives how many there are.
    Raises `InvalidPayload` naming the document, `EvidenceUnavailable`.
    """
    asker = Asker.parse_json(_found(objects, f"{folder}/request.json"))
    what_if = WhatIf(asker.policy)
    lines = []
    for name, stamp in items:
        content = _found(objects, name.split("/", 3)[-1])
        lines.append(json.dumps(answer_to_wire(asker.answer(what_if, (name, stamp), content)), separators=(",", ":")))
    digest = sha256("\n".join(name for name, _ in items).encode()).hexdigest()
    objects.put_if_absent(f"{folder}/answers/{digest}.jsonl", "\n".join(lines).encode(), "application/jsonl")
    return len(lines)


def _found(objects: S3Objects, key: str) -> bytes:
    content = objects.get(key)
    if content is None:
        raise EvidenceUnavailable(f"s3 get {key}: expected an object, was nothing")
    return content
