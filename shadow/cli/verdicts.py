"""Business Unit: command line | Status: current.

How a comparison reads: its verdict, each difference in words and dollars, and where to look further. Shared by `compare`,
`explain` and `replay`.

Where a stored comparison is found: in the deployed stack by the pair ledger, or offline in a folder like the evidence bucket
or a file with one document a line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from rich.padding import Padding

from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.cli.output import OUT, BadInput, ExitCode, escape, say
from shadow.cli.target import Target
from shadow.contracts.comparison import Comparison, Difference, Severity, Verdict
from shadow.contracts.identity import execution_name_of
from shadow.contracts.pair import Pair
from shadow.contracts.words import count, moment_text, usd
from shadow.settlement import stored
from shadow.settlement.stored import LINES_FILE, FolderSource, Found, JsonlSource, S3Source, read_comparison

VERDICT_STYLE = {
    Verdict.MATCHED: "green",
    Verdict.IGNORED: "yellow",
    Verdict.PENDING: "cyan",
    Verdict.INCOMPLETE: "magenta",
    Verdict.DIVERGED: "bold red",
    Verdict.MISSING_CONTROL: "bold red",
    Verdict.MISSING_CANDIDATE: "bold red",
}
SEVERITY_STYLE = {
    Severity.CRITICAL: "bold red",
    Severity.MAJOR: "red",
    Severity.MINOR: "yellow",
    Severity.INFO: "dim",
}
GOOD_VERDICTS = frozenset({Verdict.MATCHED, Verdict.IGNORED})
_TRADE_GAP = re.compile(r"(?P<role>\w+): trade (?P<symbol>\S+): (?P<what>.*)")
_ORDER_NUMBER = re.compile(r"^orders\.\d+\.")


def styled_verdict(verdict: Verdict, width: int = 0) -> str:
    """Colour a verdict for a person, padded to `width`."""
    return f"[{VERDICT_STYLE[verdict]}]{verdict.value:<{width}}[/]"


def code_of_verdict(verdict: Verdict) -> ExitCode:
    """Give the exit code of a verdict: MATCHED and IGNORED are fine, PENDING and INCOMPLETE incomplete."""
    if verdict in GOOD_VERDICTS:
        return ExitCode.FINE
    return ExitCode.INCOMPLETE if verdict in {Verdict.PENDING, Verdict.INCOMPLETE} else ExitCode.DIVERGED


@dataclass(frozen=True, slots=True)
class Links:
    """Where to look further. `logs` maps log groups to the texts to search them for."""

    comparison: str
    evidence: Mapping[str, str]
    execution: str
    logs: Mapping[str, str]

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "comparison": self.comparison,
            "evidence": dict(self.evidence),
            "execution": self.execution,
            "logs": dict(self.logs),
        }


def links_of(found: Found, target: Target | None, stage: str) -> Links:
    """Say where the evidence, the execution and the logs of a comparison are."""
    comparison = found.comparison
    lead = f"s3://{target.name('EvidenceBucketName')}/" if target else ""
    execution = execution_name_of(comparison.run_id)
    if target is not None:
        arn = (found.pair.execution_arn if found.pair else None) or target.execution_arn(comparison.run_id)
        execution = target.console_url(arn) or arn
    logs = {f"/aws/states/alchemiser-{stage}-execution-workflow": execution_name_of(comparison.run_id)}
    logs |= {f"/aws/lambda/alchemiser-{stage}-{name}": comparison.run_id for name in ("execute-trade-sfn", "compare-outcomes")}
    return Links(found.place, {ref.name: lead + ref.key for ref in comparison.evidence}, execution, logs)


def print_headline(comparison: Comparison) -> None:
    """Print verdict, plan and sums."""
    plan = comparison.plan
    say(f"{styled_verdict(comparison.verdict)}   [bold]{escape(comparison.plan_id)}[/bold]")
    say(
        f"[dim]run {comparison.run_id} · trading day {comparison.trading_day} · {escape(comparison.origin)} · "
        f"published {moment_text(comparison.published_at)} New York[/dim]"
    )
    say(
        f"[dim]policy {comparison.policy_hash[:12]} · code {escape(comparison.code_version)} · "
        f"portfolio {usd(plan.total_portfolio_value)} · planned trades {usd(plan.total_trade_value)}[/dim]"
    )
    for gap in gap_lines(comparison.gaps):
        say(f"[magenta]missing evidence[/] {escape(gap)}")
    if comparison.differences:
        say(sums_text(comparison))


def gap_lines(gaps: Iterable[str]) -> list[str]:
    """Give every gap, one line for each field: the trades that lack the same field of a lane share a line."""
    lines: dict[str, list[str]] = {}
    for gap in gaps:
        found = _TRADE_GAP.fullmatch(gap)
        if found is None:
            lines.setdefault(gap, [])
            continue
        name = f"{found['role']}: {_ORDER_NUMBER.sub('orders.', found['what'])}"
        symbols = lines.setdefault(name, [])
        if found["symbol"] not in symbols:
            symbols.append(found["symbol"])
    return [
        f"{name}, of {count(len(symbols), 'trade')}: {', '.join(symbols)}" if symbols else name for name, symbols in lines.items()
    ]


def sums_text(comparison: Comparison) -> str:
    """Say how many differences there are and what they are worth, with and without those that are known."""
    counts, open_counts = comparison.counts, comparison.uncovered_counts
    parts = [f"{getattr(counts, name)} {name}" for name in ("critical", "major", "minor", "info") if getattr(counts, name)]
    following = sum(entry.caused_by is not None for entry in comparison.differences)
    if following:
        parts.append(f"{following} that follow from others")
    uncovered = open_counts.critical + open_counts.major + open_counts.minor
    return (
        f"{count(len(comparison.differences), 'difference')}{': ' + ', '.join(parts) if parts else ''} · "
        f"net notional {usd(comparison.impact.notional, signed=True)}, cash {usd(comparison.impact.cash, signed=True)} · "
        f"gross {usd(comparison.gross_impact)} ({usd(comparison.uncovered_gross_impact)} not covered, "
        f"{count(uncovered, 'difference')})"
    )


def worst_first(differences: Iterable[Difference]) -> list[Difference]:
    """Order differences by severity, causes before what follows from them."""
    return sorted(differences, key=lambda entry: (entry.severity.rank, entry.caused_by is not None))


def is_worth_a_look(difference: Difference) -> bool:
    """Tell whether a difference is shown without being asked for: it counts, or follows from one that does."""
    return difference.counts or difference.caused_by is not None


def quiet_text(differences: Iterable[Difference]) -> str:
    """Sum up the differences that are for information only, by kind; empty where there are none."""
    kinds = Counter(entry.kind for entry in differences if not is_worth_a_look(entry))
    return ", ".join(f"{kind} ({amount})" for kind, amount in sorted(kinds.items()))


def print_difference(difference: Difference, *, indent: int, with_trade: bool) -> None:
    """Print one difference: what, by whom, worth what, why, by which rule."""
    style = SEVERITY_STYLE[difference.severity]
    where = f" {difference.action.value} {difference.symbol}" if with_trade and difference.action and difference.symbol else ""
    head = (
        f"[{style}]{difference.severity.value} {escape(difference.kind)}[/]{escape(where)} · {difference.departs} from the plan"
    )
    impact = difference.impact
    if impact.notional or impact.cash:
        head += f" · notional {usd(impact.notional, signed=True)}, cash {usd(impact.cash, signed=True)}"
    _indented(head, indent)
    _indented(escape(difference.explanation), indent + 2)
    values = (("planned", difference.planned), ("control", difference.control), ("candidate", difference.candidate))
    seen = ", ".join(f"{name} {value}" for name, value in values if value is not None)
    _indented(
        f"[dim]{escape(difference.field)}{': ' + escape(seen) if seen else ''} · rule: {escape(difference.rule)}[/dim]",
        indent + 2,
    )
    cause = cause_text(difference)
    if cause:
        _indented(f"[dim]{escape(cause)}[/dim]", indent + 2)


def cause_text(difference: Difference) -> str:
    """Say what a difference follows from and which known divergence covers it, or would."""
    parts = []
    if difference.caused_by:
        parts.append(f"follows from {difference.caused_by.split('/')[0]}")
    if difference.covered_by:
        parts.append(f"covered by known divergence {difference.covered_by}")
    if difference.over_budget:
        parts.append(f"known divergence {difference.over_budget} has used up its budget of the day")
    return " · ".join(parts)


def print_links(links: Links) -> None:
    """Print where to look further."""
    say("[bold]where to look[/bold]")
    say(f"  comparison  {escape(links.comparison)}")
    for name, key in links.evidence.items():
        say(f"  evidence    {escape(name)}: {escape(key)}")
    say(f"  execution   {escape(links.execution)}")
    for group, text in links.logs.items():
        say(f"  logs        {escape(group)}  (search for {escape(text)})")


def _indented(text: str, indent: int) -> None:
    OUT.print(Padding(text, (0, 0, 0, indent), expand=False))


_SUGGESTIONS = 3
_MAX_SUGGESTED_FROM = 300


@dataclass(frozen=True, slots=True)
class StackStore:
    """The deployed stack: the ledger says which object, the bucket has it."""

    target: Target

    @property
    def ledger(self) -> DynamoDbPairLedger:
        """Give the pair ledger."""
        return DynamoDbPairLedger(clients.dynamodb(), self.target.name("PairLedgerTableName"))

    def newest_local_day(self) -> date | None:
        """Give the newest trading day of a local cloud, whose plans are of past days; None on AWS, where today is what counts."""
        return None if self.target.endpoint is None else self.ledger.latest_day()

    def pair(self, plan_id: str) -> Pair:
        """Read the pair of a plan; raises `BadInput` where the plan was never published."""
        pair = self.ledger.get(plan_id)
        if pair is None:
            raise BadInput(
                f"No published plan {plan_id}. `shadow status` lists what is there; "
                "a plan that was published just now is there within seconds"
            )
        return pair

    def of_pair(self, pair: Pair) -> Found | None:
        """Find the comparison of a pair; None where it has none yet. Raises `UnreachableSource`, `UnreadableDocument`."""
        return S3Source(self.target.name("EvidenceBucketName")).of_pair(pair)


def offline_store(folder: Path | None, file: Path | None) -> FolderSource | JsonlSource | None:
    """Give the offline store that was asked for; None where the stack is to be asked. Raises `BadInput`."""
    if folder is not None and file is not None:
        raise BadInput("--folder and --file cannot both be given")
    if file is not None:
        if not file.is_file():
            raise BadInput(f"--file {file}: no such file")
        return JsonlSource(file)
    if folder is None:
        return None
    if not folder.is_dir():
        raise BadInput(f"--folder {folder}: no such folder")
    if not holds_comparisons(folder):
        raise BadInput(f"--folder {folder}: there is neither comparisons/ nor {LINES_FILE} in it")
    return FolderSource(folder)


def holds_comparisons(folder: Path) -> bool:
    """Whether a folder has stored comparisons, in files of their own or as lines of one."""
    return (folder / "comparisons").is_dir() or (folder / LINES_FILE).is_file()


def find(store: StackStore | FolderSource | JsonlSource, plan_id: str) -> Found | None:
    """Find the comparison of a plan; None where it has none yet.

    Raises `BadInput` where the plan was never published, `UnreachableSource`, `UnreadableDocument`.
    """
    if isinstance(store, StackStore):
        return store.of_pair(store.pair(plan_id))
    return stored.find(store, plan_id)


def demand(store: StackStore | FolderSource | JsonlSource, plan_id: str) -> Found:
    """Find the comparison of a plan; raises `BadInput` with the closest plans there are."""
    found = find(store, plan_id)
    if found is not None:
        return found
    names = [] if isinstance(store, StackStore) else _plans_of(store)
    close = get_close_matches(plan_id, names, n=_SUGGESTIONS, cutoff=0.3)
    hint = f"; there are {', '.join(close)}" if close else ""
    raise BadInput(f"No stored comparison of plan {plan_id}{hint}")


def _plans_of(store: FolderSource | JsonlSource) -> list[str]:
    """Give the plans of the store's first documents, to suggest from."""
    documents = islice(store.documents(date.min, date.max), _MAX_SUGGESTED_FROM)
    return list(dict.fromkeys(read_comparison(content, name).plan_id for name, content in documents))
