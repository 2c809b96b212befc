"""Business Unit: command line | Status: current.

The money ledger of a comparison in lines: what the lanes differ by, cause by cause, by whose word, and what is left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from shadow.cli.output import escape
from shadow.contracts.comparison import Comparison
from shadow.contracts.money import Executed, MoneyLedger, MoneyLine, Word
from shadow.contracts.words import count, usd

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
        yield "  " + ", ".join(f"{cause} {usd(dollars, signed=True)}" for cause, dollars in sums.items())
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
