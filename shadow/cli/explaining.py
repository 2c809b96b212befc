"""Business Unit: command line | Status: current.

`shadow explain`: the drill-down into one pair, from its stored comparison. What was planned, what each lane decided, sent and
got, side by side, and each difference where it was made.

The money ledger of a comparison in lines: what the lanes differ by, cause by cause, by whose word, and what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from shlex import quote

from rich.markup import escape as literal
from rich.padding import Padding
from rich.table import Table

from shadow.cli.output import OUT, ExitCode, escape, fail, print_json, progress, say
from shadow.cli.target import Target
from shadow.cli.verdicts import (
    StackStore,
    code_of_verdict,
    is_worth_a_look,
    links_of,
    print_difference,
    print_headline,
    print_links,
    quiet_text,
    worst_first,
)
from shadow.compare.case import PairView, TradePair, case_of
from shadow.compare.sides import Line, run_lines, trade_lines
from shadow.contracts.comparison import Comparison, Difference, Executed, MoneyLedger, MoneyLine, Severity, Verdict, Word
from shadow.contracts.vocabulary import Action
from shadow.contracts.words import count, usd
from shadow.settlement.stored import Found

_MOST = 12


def money_lines(comparison: Comparison) -> Iterator[str]:
    """Give the ledger in lines: the sums, each trade whose dollars differ, each cause, and the orders that are told."""
    ledger = comparison.money
    if ledger is not None:
        yield from _ledger_lines(ledger)
    for told in comparison.told:
        what = f"{told.side.value if told.side else 'order'} {escape(told.symbol or 'of an unknown symbol')}"
        worth = "not valued" if told.filled is None else f"{usd(told.filled)} filled"
        working = f", {usd(told.working)} still working" if told.working else ""
        note = f" ({escape(told.note)})" if told.note else ""
        name = f"{what} {escape(told.order_id or '')}"
        yield f"[yellow]told[/] {told.role.value}: {name}, {told.owner.value}: {worth}{working}{note}"


def _ledger_lines(ledger: MoneyLedger) -> Iterator[str]:
    yield (
        f"[bold]money[/bold]     candidate minus control: gross exposure {usd(ledger.gross)}, net {usd(ledger.net, signed=True)}"
        f" [dim]({escape(ledger.basis)})[/dim]"
    )
    apart = [line for line in ledger.lines if line.exposure is None or abs(line.exposure) >= 1]
    for line in sorted(apart, key=_size, reverse=True)[:_MOST]:
        yield f"  {line.side.value} {escape(line.symbol)}: {_difference(line)} [dim]({_words(line)})[/dim]"
    if len(apart) > _MOST:
        yield f"  [dim]and {count(len(apart) - _MOST, 'trade')} more[/dim]"
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in ledger.rows:
        sums[row.cause.value] += row.dollars
    if sums:
        yield "  the accounts' value: " + ", ".join(f"{cause} {usd(dollars, signed=True)}" for cause, dollars in sums.items())
    if ledger.is_proved and ledger.equity is not None and ledger.unexplained is not None:
        yield f"  the accounts differ by {usd(ledger.equity, signed=True)}; unexplained {usd(ledger.unexplained, signed=True)}"
    else:
        yield "  [dim]not proved: the brokers were not asked before and after the run[/dim]"


def _size(line: MoneyLine) -> Decimal:
    return abs(line.exposure) if line.exposure is not None else abs(line.planned or Decimal(0))


def _difference(line: MoneyLine) -> str:
    return "not known" if line.exposure is None else usd(line.exposure, signed=True)


def _words(line: MoneyLine) -> str:
    planned = "not planned" if line.planned is None else f"planned {usd(line.planned, signed=True)}"
    return f"{planned}; control {_done(line.control)}; candidate {_done(line.candidate)}"


def _done(done: Executed) -> str:
    if done.value is None:
        return done.word.value
    by = "" if done.word is Word.NOTHING else f" by {done.word.value}"
    return f"{usd(done.value, signed=True)}{by}"


_LABEL_WIDTH = 12
_COMPARED = (Verdict.MATCHED, Verdict.IGNORED, Verdict.DIVERGED)


def explain_found(found: Found, target: Target | None, stage: str, *, everything: bool, as_json: bool) -> ExitCode:
    """Print one comparison in full, and give the exit code of its verdict."""
    links = links_of(found, target, stage)
    if as_json:
        print_json({"comparison": found.comparison.to_wire(), "links": links.to_wire()})
    else:
        print_explanation(found.comparison, everything=everything)
        print_links(links)
    return code_of_verdict(found.comparison.verdict)


def find_in_stack(target: Target, plan_id: str, *, as_json: bool) -> Found:
    """Find a plan's comparison; where its pair has none yet, say so and end the command. Raises `BadInput`."""
    store = StackStore(target)
    with progress("reading the comparison", quiet=as_json):
        pair = store.pair(plan_id)
        found = store.of_pair(pair)
    if found is None:
        state = f"{plan_id} is {pair.verdict.value} ({pair.state.value})"
        message = f"{state}: nothing to explain yet; try `shadow compare {quote(plan_id)}`"
        details = {"state": pair.state.value, "verdict": pair.verdict.value}
        fail(ExitCode.INCOMPLETE, message, as_json=as_json, details=details)
    return found


def print_explanation(comparison: Comparison, *, everything: bool) -> None:
    """Print the drill-down of one comparison."""
    view = PairView(case_of(comparison))
    print_headline(comparison)
    say()
    say(f"[bold]planned[/bold]   {_planned(comparison)}")
    _side_by_side([("[bold]run[/bold]", "[bold]control[/bold]", "[bold]candidate[/bold]"), *_escaped_lines(view)])
    by_trade = _by_trade(comparison, {pair.trade_id for pair in view.trades})
    for difference in worst_first(by_trade[""]):
        print_difference(difference, indent=2, with_trade=True)
    for line in money_lines(comparison):
        say(line)
    say()
    differing = [pair for pair in view.trades if everything or any(map(is_worth_a_look, by_trade[pair.trade_id]))]
    for pair in sorted(differing, key=lambda pair: _worst(by_trade[pair.trade_id])):
        _print_trade(pair, by_trade[pair.trade_id])
    _print_rest(view, by_trade, {pair.trade_id for pair in differing}, is_whole=comparison.verdict in _COMPARED)


def _worst(differences: Sequence[Difference]) -> int:
    return min((difference.severity.rank for difference in differences), default=len(Severity))


def _print_rest(view: PairView, by_trade: Mapping[str, list[Difference]], shown: set[str], *, is_whole: bool) -> None:
    """Sum up the trades that are not shown. Of a pair that was not compared as a whole nothing is called equal."""
    rest = [by_trade[pair.trade_id] for pair in view.trades if pair.trade_id not in shown]
    alike = sum(not differences for differences in rest)
    quiet = quiet_text(difference for differences in rest for difference in differences)
    if quiet:
        say(f"[dim]{count(len(rest) - alike, 'trade')} with differences for information only: {escape(quiet)}[/dim]")
    if alike and is_whole:
        say(f"[green]{count(alike, 'trade')} without a difference[/]")
    elif alike:
        say(f"[magenta]{count(alike, 'trade')} not compared in full[/]: what is missing may hide a difference")
    if rest:
        say("[dim](--all shows them)[/dim]\n")


def _escaped_lines(view: PairView) -> list[Line]:
    lines = run_lines(view.case.control, view.case.candidate)
    return [(label, literal(left), literal(right)) for label, left, right in lines]


def _by_trade(comparison: Comparison, known: set[str]) -> Mapping[str, list[Difference]]:
    """Sort differences to their trades; under the empty name those of the run itself."""
    sorted_out: dict[str, list[Difference]] = defaultdict(list)
    for difference in comparison.differences:
        name = difference.trade_id if difference.trade_id in known else None
        sorted_out[name or ""].append(difference)
    return sorted_out


def _planned(comparison: Comparison) -> str:
    parts = []
    for action in Action:
        items = [item for item in comparison.plan.items if item.action is action]
        amount = sum((abs(item.trade_amount) for item in items), comparison.plan.total_trade_value * 0)
        if items:
            parts.append(f"{len(items)} {action.value}" + ("" if action is Action.HOLD else f" for {usd(amount)}"))
    return ", ".join(parts)


def _print_trade(pair: TradePair, differences: Sequence[Difference]) -> None:
    style = "bold red" if any(entry.counts for entry in differences) else "bold"
    planned = pair.planned
    text = "not in the plan"
    if planned is not None:
        exits = ", full exit" if planned.is_full_exit else ""
        text = f"{usd(planned.amount, signed=True)} (from {usd(planned.current_value)} to {usd(planned.target_value)}{exits})"
    say(f"[{style}]{pair.side.value} {escape(pair.symbol)}[/]   planned {text}   [dim]{pair.trade_id}[/dim]")
    lines = trade_lines(pair.control, pair.candidate)
    _side_by_side([(label, literal(left), literal(right)) for label, left, right in lines])
    for difference in worst_first(differences):
        print_difference(difference, indent=2, with_trade=False)
    say()


def _side_by_side(lines: Sequence[Line]) -> None:
    """Print labelled texts in two columns of equal width."""
    width = max((OUT.width - _LABEL_WIDTH - 6) // 2, 20)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_LABEL_WIDTH - 2, style="dim")
    grid.add_column(width=width, overflow="fold")
    grid.add_column(width=width, overflow="fold")
    for label, left, right in lines:
        grid.add_row(label, left, right)
    OUT.print(Padding(grid, (0, 0, 0, 2), expand=False))
