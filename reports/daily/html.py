"""Business Unit: reports | Status: current.

Renders the report as one self-contained page: no script, no request, nothing but itself. Everything that came from a
document is escaped; only our own drawings and style sheet are not.

The report's pictures. One drawing each, in two forms: SVG that takes the page's own ink, so that it is as good in the dark,
and PNG on a white card for mail, which shows no SVG. Every picture has a sentence that says what it shows. Colours are those of
Okabe and Ito (2008), which people with colour vision deficiencies can tell apart.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache, partial
from pathlib import Path

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType

from reports.daily.values import DailyReport, TrendDay
from reports.headline import tone_of
from reports.noise import MULTIPLES, ToleranceUse
from shadow.compare.rules import ONE
from shadow.contracts.visible import SHOWN, one_line, visible
from shadow.contracts.words import MARKET_ZONE, clock, count, usd

_INK = "#010203"
_WIDTH, _HEIGHT, _DPI = 5.2, 2.7, 160
_SHOWN_DAYS = 8
_PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_STYLE: dict[RcKeyType, object] = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
CONTROL, CANDIDATE = "#0072B2", "#D55E00"
_SHOWN_RULES = 4
_LINES = (CONTROL, CANDIDATE, "#009E73", "#CC79A7")
_STROKES = ("-", "--", "-.", ":")
_VERDICTS = (
    ("matched", "#009E73", ""),
    ("ignored", "#56B4E9", ""),
    ("diverged", "#D55E00", "///"),
    ("incomplete", "#E69F00", "..."),
    ("missing", "#CC79A7", "xxx"),
    ("pending", "#8A8A8A", ""),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: its name, its title, what it shows in words, and both forms."""

    name: str
    title: str
    alt: str
    svg: str
    png: bytes


@lru_cache(maxsize=2)
def charts_of(report: DailyReport) -> tuple[Chart, ...]:
    """Draw the trend of the report's trading days; nothing where there is no day."""
    days = report.trend
    if not days:
        return ()
    return (
        _chart("verdicts", "Verdicts by day", _verdict_words(days), lambda axes: _verdicts(axes, days)),
        _chart("divergence", "Trades with an unexplained difference", _rate_words(days), lambda axes: _rates(axes, days)),
        _chart("impact", "Gross impact", _impact_words(days), lambda axes: _impact(axes, days)),
        _chart(
            "durations",
            "Median run duration",
            _lane_words(days, "seconds", " s", "median run duration"),
            lambda axes: _lanes(axes, days, "seconds", "seconds"),
        ),
        _chart(
            "slippage",
            "Median slippage",
            _lane_words(days, "slippage_bps", " bp", "median slippage"),
            lambda axes: _lanes(axes, days, "slippage_bps", "basis points"),
        ),
        *_margins(report.tolerance_use[:_SHOWN_RULES]),
    )


def _chart(name: str, title: str, alt: str, draw: Callable[[Axes], None]) -> Chart:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        vector, pixels = io.StringIO(), io.BytesIO()
        figure.savefig(vector, format="svg", transparent=True, metadata={"Date": None})
        figure.savefig(pixels, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return Chart(name, title, alt, _inline(vector.getvalue(), name), pixels.getvalue())


def _inline(svg: str, name: str) -> str:
    """Make the drawing part of a page: no prolog, no metadata, ids of its own, the page's ink and typeface."""
    text = _METADATA.sub("", _PROLOG.sub("", svg, count=1))
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", text)
    text = text.replace(_INK, "currentColor").replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def _dates(axes: Axes, days: Sequence[TrendDay]) -> None:
    """Name a few of the days below the picture."""
    step = max(1, -(-len(days) // _SHOWN_DAYS))
    ticks = list(range(len(days) - 1, -1, -step))[::-1]
    axes.set_xticks(ticks, [f"{days[tick].day:%d %b}".lstrip("0") for tick in ticks])
    axes.set_xlim(-0.6, max(len(days), 4) - 0.4)
    axes.margins(y=0.12)


def _verdicts(axes: Axes, days: Sequence[TrendDay]) -> None:
    bottom = [0] * len(days)
    for name, colour, hatch in _VERDICTS:
        heights = [int(getattr(day, name)) for day in days]
        if any(heights):
            axes.bar(range(len(days)), heights, bottom=bottom, color=colour, hatch=hatch, width=0.8, label=name)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    for index, day in enumerate(days):
        if day.published == 0:
            axes.annotate("none", (index, 0), ha="center", va="bottom", rotation=90, fontweight="bold")
    axes.set_ylabel("pairs")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _dates(axes, days)
    if any(bottom):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, handlelength=1.2, columnspacing=1.0)


def _rates(axes: Axes, days: Sequence[TrendDay]) -> None:
    rates = [100 * day.diverged_trades / day.trades if day.trades else 0.0 for day in days]
    axes.bar(range(len(days)), rates, color=CANDIDATE, width=0.8)
    axes.set_ylabel("percent of trades")
    axes.set_ylim(bottom=0, top=max(5.0, *rates) * 1.12)
    _dates(axes, days)


def _impact(axes: Axes, days: Sequence[TrendDay]) -> None:
    values = [float(day.gross) for day in days]
    axes.bar(range(len(days)), values, color=CONTROL, width=0.8)
    axes.set_ylabel("USD")
    axes.set_ylim(bottom=0, top=max(1.0, *values) * 1.12)
    _dates(axes, days)


def _lanes(axes: Axes, days: Sequence[TrendDay], field: str, unit: str) -> None:
    for role, colour, marker in (("control", CONTROL, "o"), ("candidate", CANDIDATE, "s")):
        values = [getattr(day, f"{role}_{field}") for day in days]
        heights = [float("nan") if value is None else float(value) for value in values]
        axes.plot(range(len(days)), heights, color=colour, marker=marker, markersize=4.5, linewidth=1.8, label=role)
    axes.set_ylabel(unit)
    _dates(axes, days)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _margins(uses: Sequence[ToleranceUse]) -> tuple[Chart, ...]:
    """Draw how many pairs each rule would find different at other tolerances; nothing where no tolerance was used."""
    if not uses:
        return ()

    def draw(axes: Axes) -> None:
        for use, colour, line in zip(uses, _LINES, _STROKES, strict=False):
            axes.step([float(at) for at in MULTIPLES], use.pairs, where="post", color=colour, linestyle=line, label=use.rule)
        axes.axvline(1, color=_INK, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks([0.01, 0.1, 1, 10], ["1 %", "10 %", "as it is", "10 times"])
        axes.set_xlabel("tolerance")
        axes.set_ylabel("pairs with a difference")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    half, twice = MULTIPLES.index(Decimal("0.5")), MULTIPLES.index(Decimal(2))
    parts = [f"{use.rule} ({use.words}) {use.pairs[half]}, {use.pairs[MULTIPLES.index(ONE)]}, {use.pairs[twice]}" for use in uses]
    headline = f"Pairs with a difference at half the tolerance, at the tolerance as it is, and at twice: {'; '.join(parts)}."
    return (_chart("margins", "What another tolerance would find", headline, draw),)


def _span(days: Sequence[TrendDay]) -> str:
    return f"{len(days)} trading days from {days[0].day} to {days[-1].day}"


def _verdict_words(days: Sequence[TrendDay]) -> str:
    sums = [f"{sum(int(getattr(day, name)) for day in days)} {name}" for name, _, _ in _VERDICTS]
    idle = sum(day.published == 0 for day in days)
    return f"Pairs by verdict, {_span(days)}: {', '.join(sums)}; {idle} days with nothing published."


def _rate_words(days: Sequence[TrendDay]) -> str:
    worst = max(days, key=lambda day: day.diverged_trades / day.trades if day.trades else 0)
    diverged, total = sum(day.diverged_trades for day in days), sum(day.trades for day in days)
    where = f", most on {worst.day}: {worst.diverged_trades} of {worst.trades}" if diverged else ""
    return f"{diverged} of {total} trades with an unexplained difference, {_span(days)}{where}."


def _impact_words(days: Sequence[TrendDay]) -> str:
    worst = max(days, key=lambda day: day.gross)
    where = f", most on {worst.day}: {worst.gross:,.2f} USD" if worst.gross else ""
    return f"Gross impact of all differences, {_span(days)}: {sum(day.gross for day in days):,.2f} USD{where}."


def _lane_words(days: Sequence[TrendDay], field: str, unit: str, what: str) -> str:
    parts = []
    for role in ("control", "candidate"):
        values = [value for day in days if (value := getattr(day, f"{role}_{field}")) is not None]
        parts.append(f"{role} {min(values):.1f} to {max(values) + 0.0:.1f}{unit}" if values else f"{role} not measured")
    return f"Daily {what}, {_span(days)}: {', '.join(parts)}."


def _seconds(value: float | None) -> str:
    """Write seconds; a dash where nothing was measured."""
    return "–" if value is None else f"{value:,.1f} s"  # noqa: RUF001 - an en dash on purpose


def _basis_points(value: float | None) -> str:
    """Write basis points with their sign; a dash where nothing was measured."""
    return "–" if value is None else f"{round(value, 1) + 0.0:+,.1f} bp"  # noqa: RUF001 - an en dash on purpose


def _breakable(value: object) -> Markup:
    """Write names of several words so that a narrow column can break them, as BUYS_NEVER_SENT, behind an underscore."""
    return Markup("_<wbr>").join(visible(str(value)).split("_"))


def _when(value: datetime) -> str:
    """Write date and time in New York."""
    return f"{value.astimezone(MARKET_ZONE):%Y-%m-%d %H:%M} New York"


def _figure(value: Decimal | None) -> str:
    """Write a measured figure without trailing zeros; a dash where there is none."""
    return "–" if value is None else f"{value.normalize():f}"  # noqa: RUF001 - an en dash on purpose


TEMPLATES = Path(__file__).parents[1] / "templates"


@cache
def environment() -> Environment:
    """Give the template environment: escaping on, unknown names refused."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    formats = (usd, _seconds, _basis_points, clock, _when, count, _figure, _breakable)
    made.filters["quoted"] = shlex.quote
    made.filters.update({form.__name__.lstrip("_"): form for form in formats})
    made.filters["signed_usd"] = partial(usd, signed=True)
    made.globals.update(seconds=_seconds, basis_points=_basis_points, tone=tone_of)
    return made


@pass_eval_context
def _shown(context: EvalContext, value: object) -> object:
    """Show what a template prints: our own drawings as they are, every text bounded and visible, in plain text on one line."""
    if isinstance(value, Markup | Undefined | int | float | None):
        return value
    text = str(value)
    return visible(text) if context.autoescape and len(text) <= SHOWN else one_line(text)


def render_page(report: DailyReport) -> str:
    """Render the whole report as an HTML page."""
    templates = environment()
    return templates.get_template("page.html.j2").render(report=report, charts=charts_of(report), css=_style())


def _style() -> Markup:
    return Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own style sheet


def to_json(report: DailyReport) -> str:
    """Write the report as JSON: sorted keys, exact amounts as strings."""
    return json.dumps(report.to_wire(), sort_keys=True, ensure_ascii=False, indent=2)
