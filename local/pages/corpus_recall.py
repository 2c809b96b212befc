"""Business Unit: local cloud | Status: current.

Write `docs/corpus-recall.md`: which kinds of difference the corpus planted, and what was found of them in the recorded run.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from local.scenarios.corpus_result import CorpusLine, CorpusResult, FoundKind
from shadow.compare.kinds import KINDS

PATH = Path("docs/corpus-recall.md")
REASONS_FILE = "unplanted_kinds.toml"

_INTRODUCTION = """\
# Recall of the corpus

Each fault of `local/scenarios/corpus.toml` was planted alone, in {instances} instances (each a trading day of real closing prices
with its own symbols and amounts), in the local cloud: the deployed template, both lanes, the comparator. Planted is what a lane
does: a faulty control, a faulty function of the candidate (around its own handler), or a broker that treats one lane otherwise.
Some of these decide or act wrongly; others record wrongly what they did, in a table, an event, an answer or the candidate's own
order log (there is no broker behind a dry run, so its defects of orders are such). Nothing is changed after a lane has ended,
and nothing between its records and the verdict.

A kind counts as found when the comparison names it, at the right trade or run, under its severity, and attributes it to the lane
that was at fault (to `neither` where only the lanes' difference is known).

This page is made by `python -m local.pages` from the run that `python -m local.scenarios.run_corpus` recorded.
`tests/end_to_end/test_corpus.py` runs the corpus anew. That lanes which do the same are never told apart is shown by
`tests/integration/test_no_false_alarm.py`: 1,000 random pairs of both lanes over one simulated broker, whatever happens to both.
"""


def render() -> str:
    """Write the page from the recorded result."""
    result = CorpusResult.recorded()
    instances = len({line.instance for line in result.lines})
    found = [each for line in result.lines for each in line.kinds]
    right = sum(each.is_right for each in found)
    invented = sum(len(line.invented) for line in result.lines)
    planted = f"{len(result.planted_kinds)} of {len(KINDS)} kinds, {len(found)} planted instances, {right} found"
    told = f"recall {_share(right, len(found))}. Invented: {invented}, in {len(result.lines)} runs of both lanes."
    parts = [
        _INTRODUCTION.format(instances=instances),
        f"**{planted}, {told}**\n",
        *_kinds(result),
        *_faults(result),
        *_unplanted(result),
    ]
    return "\n".join(parts) + "\n"


def reasons() -> dict[str, str]:
    """Read why each other kind is not planted."""
    text = files("local.scenarios").joinpath(REASONS_FILE).read_text(encoding="utf-8")
    return {kind: str(reason) for kind, reason in tomllib.loads(text).items()}


def _kinds(result: CorpusResult) -> Iterable[str]:
    yield "## By kind\n"
    yield "| kind | severity | planted | found | attribution | recall |"
    yield "|---|---|---|---|---|---|"
    for kind in result.planted_kinds:
        each = [found for line in result.lines for found in line.kinds if found.kind == kind]
        right = sum(found.is_right for found in each)
        yield f"| {kind} | {KINDS[kind].severity} | {len(each)} | {right} | {_attributions(each)} | {_share(right, len(each))} |"
    yield ""


def _attributions(each: Iterable[FoundKind]) -> str:
    counts = Counter(found.attribution.value if found.attribution else "missed" for found in each)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _faults(result: CorpusResult) -> Iterable[str]:
    yield "## By fault\n"
    yield "| lane | fault | what it does | instances | found as | follows from it |"
    yield "|---|---|---|---|---|---|"
    by_fault: dict[tuple[str, str, str], list[CorpusLine]] = {}
    for line in result.lines:
        by_fault.setdefault((line.role or "both", line.fault or "none", line.words), []).append(line)
    for (lane, fault, words), lines in by_fault.items():
        told = sorted({each.kind for line in lines for each in line.kinds if each.is_right}) or ["nothing"]
        after = sorted({kind for line in lines for kind in line.consequences})
        yield f"| {lane} | {fault} | {words} | {len(lines)} | {', '.join(told)} | {', '.join(after)} |"
    yield ""


def _unplanted(result: CorpusResult) -> Iterable[str]:
    seen = {kind for line in result.lines for kind in line.consequences}
    yield "## Kinds that are not planted here\n"
    yield "The unit tests plant every kind in outcomes (`tests/unit/test_compare_kinds.py`); these only there.\n"
    yield "| kind | why not here | seen here as a consequence |"
    yield "|---|---|---|"
    for kind, reason in reasons().items():
        yield f"| {kind} | {reason} | {'yes' if kind in seen else 'no'} |"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none planted"
