"""Business Unit: reports | Status: current.

Renders the report as a mail: plain text, HTML with the pictures inside the message (nothing is fetched), and the day's
differences as a table. Its first lines say the verdict, the money and the way to cut-over. The table is CSV that a spreadsheet
can open and cannot run: a cell that would be read as a formula is led by an apostrophe (OWASP, "CSV injection"); plain numbers
stay numbers, their sign included. A semicolon starts a cell where it is the separator of lists.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import pandas as pd

from reports.daily.build import ReportSettings
from reports.daily.html import charts_of, environment
from reports.daily.values import DailyReport
from reports.data.columns import DIFFERENCES
from reports.data.frames import load_frames
from reports.headline import tone_of
from reports.versions import told_apart
from reports.weekly import Weekly
from shadow.contracts.visible import one_line
from shadow.settlement.stored import Source

_DOMAIN = "divergence-report"
MAX_ROWS = 5_000
_TRIGGERS = "=+-@\t\r\n|%＝＋－＠"  # noqa: RUF001 - full-width forms that spreadsheets read alike
_LATER = re.compile(rf"(;\s*)([{re.escape(_TRIGGERS)}])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def render_mail(
    report: DailyReport,
    *,
    sender: str,
    recipients: Sequence[str],
    page_url: str | None = None,
    browse: str | None = None,
    table: str | None = None,
) -> EmailMessage:
    """Render the mail. `page_url` is where the whole page lies, `browse` where the pages to browse do, `table` the day's CSV.

    Raises ValueError where an address holds a line break.
    """
    charts = charts_of(report)
    cids = {chart.name: f"{chart.name}.{report.day}@{_DOMAIN}" for chart in charts}
    values = {"report": report, "charts": charts, "cids": cids, "page_url": page_url, "browse": browse}
    message = _message(report.subject, sender, recipients, report.generated_at)
    page = _write(message, "mail", values)
    for chart in charts:
        cid, name = f"<{cids[chart.name]}>", f"{chart.name}.png"
        page.add_related(chart.png, "image", "png", cid=cid, disposition="inline", filename=name)
    if table is not None:
        message.add_attachment(table, subtype="csv", filename=f"differences-{report.day}.csv")
    return message


def render_week(
    week: Weekly, *, sender: str, recipients: Sequence[str], now: datetime, browse: str | None = None
) -> EmailMessage:
    """Render the mail of a week. `browse` is where the pages to browse lie. Raises ValueError like `render_mail`."""
    message = _message(week.subject, sender, recipients, now)
    _write(message, "week", {"week": week, "browse": browse, "tone": tone_of})
    return message


def _message(subject: str, sender: str, recipients: Sequence[str], now: datetime) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = subject
    name, address = parseaddr(sender)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    return message


def _write(message: EmailMessage, template: str, values: Mapping[str, object]) -> MIMEPart:
    """Write a mail's text and page; give the part that is the page."""
    templates = environment()
    message.set_content(templates.get_template(f"{template}.txt.j2").render(values).strip() + "\n")
    message.add_alternative(templates.get_template(f"{template}.html.j2").render(values), subtype="html")
    return message.get_body(("html",)) or message


def safe_cell(value: object) -> str:
    """Write one cell as text that no spreadsheet executes; empty where there is nothing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    text = str(value)
    if _NUMBER.fullmatch(text):
        return text
    shown = _LATER.sub(r"\1'\2", one_line(text))
    leads = {text.lstrip()[:1], shown.lstrip()[:1]} - {""}
    return f"'{shown}" if leads & set(_TRIGGERS) else shown


def differences_csv(differences: pd.DataFrame) -> str:
    """Write the differences, at most `MAX_ROWS` of them; a last line says how many were left out."""
    names = [column.name for column in DIFFERENCES]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    for row in differences[names].head(MAX_ROWS).itertuples(index=False):
        writer.writerow([safe_cell(value.date() if isinstance(value, pd.Timestamp) else value) for value in row])
    if len(differences) > MAX_ROWS:
        writer.writerow([f"{len(differences) - MAX_ROWS} more rows were left out"])
    return out.getvalue()


def report_csv(source: Source, day: date, settings: ReportSettings) -> str:
    """Write every difference of trading day `day`, live or not, as CSV: of the lanes, counted as the report counts them."""
    source, _ = told_apart(source, None)
    frames = load_frames(source, day, day, budgets=settings.budgets, register=settings.register)
    return differences_csv(frames.differences)
