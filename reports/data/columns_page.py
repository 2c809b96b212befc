"""Business Unit: documentation | Status: current.

`docs/frames.md`, made from the columns themselves. `python -m reports.data.columns_page` writes it.
"""

from __future__ import annotations

from pathlib import Path

from reports.data.columns import FRAMES, Column, Kind

PATH = Path("docs/frames.md")
_ABOUT = {
    "pairs": "One row a pair, from the last comparison that was stored of it.",
    "trades": "One row a trade of a pair that was planned or seen in either lane, both lanes side by side.",
    "differences": "One row a difference.",
    "durations": "One row a measured duration: of a run or of a trade, in one lane. What has no end has no row.",
    "ledger": "One row a trading day: where every published pair went.",
}
_HEAD = """<!-- Made by `python -m reports.data.columns_page`. Change reports/data/columns.py, not this page. -->

# Frames

`reports.data.frames.load_frames(source, first, last, ledger=…, budgets=…)` gives five tidy pandas frames. A source is a bucket, a
folder, a file of lines (`reports.sources.source_of`) or an Athena table (`reports.data.athena.AthenaSource`).

| kind | dtype | what it is for |
|---|---|---|
| decimal | object, of `Decimal` or None | money, prices, quantities: exact, and what is judged and summed |
| float64 | float64 | statistics only: seconds, basis points |
| category | category, ordered, closed | the glossary's lists, in the glossary's order (the worst severity first) |
| day | datetime64[s], naive, midnight | a trading day, New York |
| time | datetime64[us, UTC] | a moment |
| str | str | text, missing where there is none |
| int64, Int64 | int64, Int64 (may be missing) | counts |
| bool | bool | yes or no |
"""


def render() -> str:
    """Write the page."""
    return _HEAD + "".join(_frame(name, columns) for name, columns in FRAMES.items())


def _frame(name: str, columns: tuple[Column, ...]) -> str:
    rows = "".join(f"| `{column.name}` | {_kind(column)} | {column.meaning} |\n" for column in columns)
    return f"\n## `{name}`\n\n{_ABOUT[name]}\n\n| column | kind | meaning |\n|---|---|---|\n{rows}"


def _kind(column: Column) -> str:
    if column.kind is Kind.CATEGORY and column.members is not None:
        return "category: " + ", ".join(member.value for member in column.members)
    return column.kind.value


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
