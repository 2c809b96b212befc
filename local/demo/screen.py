"""Business Unit: local cloud | Status: current.

Show a demonstration to a person: a table a day, each difference in words and dollars, found against planted, and where to look.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from shlex import quote

from rich.table import Table

from local.demo.result import DayResult, DemoResult
from shadow.cli.output import OUT, escape
from shadow.cli.verdicts import styled_verdict
from shadow.contracts.comparison import Difference
from shadow.contracts.words import count

_SHOWN = 6


def show_demo(result: DemoResult, out: Path) -> None:
    """Print everything."""
    for day in result.days:
        _show_day(day)
    _show_planted(result)
    _show_conservation(result)
    _show_where(result, out)


def _show_day(day: DayResult) -> None:
    impact = f"  impact {_usd(day.gross_impact)} USD" if day.gross_impact else ""
    OUT.print(
        f"[bold]Day {day.number}[/bold]  {day.day}  {styled_verdict(day.verdict)}"
        f"  {day.trades} trades  {day.seconds:.1f} s{impact}"
    )
    counted = [difference for difference in day.differences if difference.counts]
    if not counted and not day.gaps:
        return
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for column in ("severity", "who departs", "trade", "what differs", "USD"):
        table.add_column(column, overflow="fold", no_wrap=column in {"severity", "USD"})
    for difference in counted[:_SHOWN]:
        trade = f"{difference.action or ''} {difference.symbol or 'the run'}".strip()
        words = escape(difference.explanation)
        row = (difference.severity.value, difference.who, trade, words, _money(difference))
        table.add_row(*row)
    OUT.print(table)
    if len(counted) > _SHOWN:
        OUT.print(f"    … and {len(counted) - _SHOWN} more", style="dim")
    if day.consequences:
        are = "is" if day.consequences == 1 else "are"
        told = f"{count(day.consequences, 'knock-on difference')} {are} listed in the report"
        OUT.print(f"    {told}", style="dim")
    for gap in day.gaps:
        OUT.print(f"    gap: {escape(gap)}")


def _money(difference: Difference) -> str:
    value = max((difference.impact.notional, difference.impact.cash), key=abs)
    return _usd(value) if value else "-"


def _usd(value: Decimal) -> str:
    return f"{value:,.2f}"


def _show_planted(result: DemoResult) -> None:
    table = Table(title="Found against planted", title_justify="left", header_style="bold")
    for column in ("day", "role", "trade", "planted", "expected", "found"):
        table.add_column(column, overflow="fold")
    for day in result.days:
        for line in day.planted:
            mark = "[green]found[/green]" if line.found else "[bold red]MISSED[/bold red]"
            table.add_row(str(line.day), line.role, line.symbol or "the run", escape(line.words), ", ".join(line.expected), mark)
        for each in day.invented:
            table.add_row(str(day.number), each.attribution.value, each.symbol or "the run", "", each.kind, "[red]INVENTED[/red]")
        for words in day.unplaced:
            table.add_row(str(day.number), "", "", escape(words), "", "[red]NOT PLACED[/red]")
    OUT.print()
    OUT.print(table)
    style = "bold green" if result.is_right else "bold red"
    OUT.print(f"planted {result.planted}, found {result.found}, invented {result.invented}", style=style)


def _show_conservation(result: DemoResult) -> None:
    lines = result.conservation
    sums = {name: sum(getattr(line, name) for line in lines) for name in ("published", "matched", "diverged", "ignored")}
    sums |= {name: sum(getattr(line, name) for line in lines) for name in ("incomplete", "missing", "pending")}
    right = " + ".join(f"{name} {count}" for name, count in sums.items() if name != "published")
    holds = all(line.holds for line in lines)
    sign = "=" if holds else "≠"
    OUT.print(f"published {sums['published']} {sign} {right}", style="" if holds else "bold red")


def _show_where(result: DemoResult, out: Path) -> None:
    OUT.print()
    OUT.print(f"[bold]Where to look[/bold]  (set up {result.set_up_seconds:.0f} s, in all {result.seconds:.0f} s)")
    for name, words in (
        ("report.html", "the daily report as a page"),
        ("report.eml", "the same as a mail"),
        ("readiness.json", "whether it is safe to cut over, criterion by criterion"),
        ("divergence_analysis.ipynb", "the analysis notebook, executed"),
        ("summary.json", "this summary for programs"),
        ("comparisons.jsonl", "one comparison a line, to judge again: shadow rejudge"),
    ):
        OUT.print(f"  {out / name}  [dim]{words}[/dim]")
    example = next((day.plan_id for day in result.days if day.differences), result.days[0].plan_id)
    OUT.print(f"  shadow explain {escape(quote(example))} --folder {escape(quote(str(out)))}")
    OUT.print(f"\n[bold]All ten days to browse[/bold]  {(out / 'site' / 'index.html').resolve().as_uri()}", soft_wrap=True)
