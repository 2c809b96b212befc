"""Business Unit: benchmarks | Status: current.

The table, for the terminal and for `benchmarks/README.md`, from recorded results alone. A missed target has its answer beside it
(`benchmarks.answers`): what was measured, what stands in the way, and what the right target would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from benchmarks.answers import ANSWERS
from benchmarks.rows import ROWS, Growth, Line, Measurement, Row, Verdict

TIMES = "\N{MULTIPLICATION SIGN}"
_HEADERS = ("", "what", "ours", "peer", "floor", "figure", "spread", "runs", "target", "")
_SMALL, _TEN, _THOUSAND = 0.01, 10, 1_000


@dataclass(frozen=True, slots=True)
class Results:
    """What one run of the benchmarks recorded."""

    machine: Mapping[str, str]
    rows: Mapping[str, Measurement]
    quick: bool
    seconds: float

    def to_wire(self) -> dict[str, object]:
        """Write as plain values."""
        rows = {name: measurement.to_wire() for name, measurement in self.rows.items()}
        return {"machine": dict(self.machine), "quick": self.quick, "rows": rows, "seconds": round(self.seconds, 1)}

    @classmethod
    def read(cls, value: object) -> Results:
        """Read what `to_wire` wrote. Raises pydantic's ValidationError."""
        return TypeAdapter(cls).validate_python(value)

    def of(self, row: Row) -> Measurement:
        """Give a row's measurement; one that was not made could not be measured."""
        return self.rows.get(row.id, Measurement(verdict=Verdict.FAILED, notes=("it was not measured in this run",)))


def page(results: Results) -> str:
    """Write the Markdown page."""
    grown = [each for measurement in results.rows.values() for each in measurement.growth]
    parts = [
        "# Benchmarks\n",
        "This page is written by `make bench` (`make bench-quick` measures small and leaves it alone). Every figure comes from",
        "[results/latest.json](results/latest.json).\n",
        *_how(results),
        "\n## Table\n",
        *_table(results),
        "\n## What the rows say\n",
        *(text for row in ROWS for text in _story(row, results.of(row))),
        "## Cost against size\n",
        *(_plot(each) for each in grown),
    ]
    return "\n".join(parts).rstrip() + "\n"


def terminal(results: Results) -> str:
    """Write the table for a terminal."""
    rows = [_HEADERS, *(cells for row in ROWS for cells in _cells(row, results.of(row)))]
    widths = [max(len(cells[place]) for cells in rows) for place in range(len(_HEADERS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows]
    missed = [f"{row.id}: {ANSWERS[row.id]}" for row in ROWS if results.of(row).judged() is Verdict.MISSED and row.id in ANSWERS]
    return "\n".join([*lines, "", *missed])


def _how(results: Results) -> list[str]:
    machine = results.machine
    quick = " This was a quick run: small sizes, few repetitions." if results.quick else ""
    kind = f"{machine.get('processor')}, {machine.get('cores')} cores, {machine.get('memory')}, {machine.get('system')}"
    when = f"load {machine.get('load')}; {machine.get('measured')}; {results.seconds:.0f} s in all"
    earlier = f" Rows of earlier runs, on other code or another machine: {machine['earlier']}." if machine.get("earlier") else ""
    return [
        f"Machine: {kind}, Python {machine.get('python')}; {when}.{quick}{earlier}\n",
        "Ratios are claimed, not seconds. Contenders run in turn on the same machine, in an order that rotates, after one turn",
        "to warm up; a figure is the median of the ratios of one turn each, its spread the interquartile range over the median.",
        "Work that waits for nothing is timed by the processor time of its process. Peers: laboratory 1.0.2, datacompy 1.1.0 on",
        "pandas, in an environment of their own (`build/bench-venv`, from `requirements/bench.txt`).",
    ]


def _table(results: Results) -> list[str]:
    lines = ["| | what | ours | peer | floor | figure | spread | runs | target | |", "|---|---|---|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cells) + " |" for row in ROWS for cells in _cells(row, results.of(row))]
    return lines


def _cells(row: Row, measurement: Measurement) -> list[tuple[str, ...]]:
    judged = measurement.judged()
    if not measurement.lines:
        return [(row.id, row.what, "", "", "", "", "", "", row.target, judged.value)]
    found = []
    for place, line in enumerate(measurement.lines):
        first = place == 0
        word = "" if line.limit is None else ("met" if line.is_met else "missed")
        target = row.target if first else ""
        found.append((row.id if first else "", *_figures(line), target, word))
    return found


def _figures(line: Line) -> tuple[str, ...]:
    unit = TIMES if line.figure_unit == "times" else f" {line.figure_unit}"
    limit = "" if line.limit is None else f" (at most {line.limit:g})"
    return (
        f"{line.name} ({line.unit})" + (f", against {line.against}" if line.against else ""),
        number(line.ours),
        "" if line.peer is None else number(line.peer),
        "" if line.floor is None else number(line.floor),
        f"{line.figure:.2f}{unit}{limit}",
        "" if line.spread is None else f"{line.spread:.0%}",
        str(line.repetitions),
    )


def _story(row: Row, measurement: Measurement) -> list[str]:
    judged = measurement.judged()
    parts = [
        f"**{row.id}. {row.what[0].upper()}{row.what[1:]}**, against {row.against}. Target: {row.target}. **{judged.value}**.\n"
    ]
    parts += [f"{note[0].upper()}{note[1:]}.\n" for note in measurement.notes]
    if judged is Verdict.MISSED:
        parts.append(f"{ANSWERS.get(row.id, 'No reason is known yet.')}\n")
    return parts


def _plot(grown: Growth) -> str:
    fitted = "" if grown.exponent is None else f", exponent {grown.exponent:.2f}"
    return f"![{grown.name}: cost against {grown.size}{fitted}](results/{plot_name(grown)})\n"


def plot_name(grown: Growth) -> str:
    """Name a growth's plot."""
    words = "".join(letter if letter.isalnum() else " " for letter in grown.name.lower()).split()
    return f"growth-{'-'.join(words)}.svg"


def number(value: float) -> str:
    """Write a figure with as many digits as it deserves."""
    size = abs(value)
    if size >= _THOUSAND:
        return f"{value:,.0f}"
    if size >= _TEN:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= _SMALL else f"{value:.2g}"
