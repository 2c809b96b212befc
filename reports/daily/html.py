"""Business Unit: reports | Status: current.

Renders the report as one self-contained page: no script, no request, nothing but itself. Everything that came from a
document is escaped; only our own drawings and style sheet are not.
"""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from reports import words
from reports.daily.charts import charts_of
from reports.daily.values import DailyReport
from shadow.contracts.visible import SHOWN, one_line, visible

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
    formats = (words.usd, words.signed_usd, words.seconds, words.basis_points, words.clock, words.when, words.count, words.figure)
    made.filters["quoted"] = shlex.quote
    made.filters.update({form.__name__: form for form in formats})
    made.globals.update(seconds=words.seconds, basis_points=words.basis_points)
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
