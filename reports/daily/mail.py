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
from collections.abc import Sequence
from datetime import date
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import pandas as pd

from reports.daily.build import ReportSettings
from reports.daily.charts import charts_of
from reports.daily.html import environment
from reports.daily.values import DailyReport
from reports.data.columns import DIFFERENCES
from reports.data.frames import load_frames
from shadow.contracts.visible import one_line
from shadow.settlement.stored import Source

__all__ = ["EmailMessage", "render_mail"]

_DOMAIN = "divergence-report"
MAX_ROWS = 5_000
_TRIGGERS = "=+-@\t\r\n|%＝＋－＠"  # noqa: RUF001 - full-width forms that spreadsheets read alike
_LATER = re.compile(rf"(;\s*)([{re.escape(_TRIGGERS)}])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def render_mail(
    report: DailyReport, *, sender: str, recipients: Sequence[str], page_url: str | None = None, table: str | None = None
) -> EmailMessage:
    """Render the mail. `page_url` is where the whole page lies, `table` the day's differences as CSV.

    Raises ValueError where an address holds a line break.
    """
    charts = charts_of(report)
    cids = {chart.name: f"{chart.name}.{report.day}@{_DOMAIN}" for chart in charts}
    values = {"report": report, "charts": charts, "cids": cids, "page_url": page_url}
    templates = environment()
    message = EmailMessage(policy=SMTP)
    message["Subject"] = report.subject
    name, address = parseaddr(sender)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(report.generated_at)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(templates.get_template("mail.txt.j2").render(values).strip() + "\n")
    message.add_alternative(templates.get_template("mail.html.j2").render(values), subtype="html")
    page = message.get_body(("html",)) or message
    for chart in charts:
        cid, name = f"<{cids[chart.name]}>", f"{chart.name}.png"
        page.add_related(chart.png, "image", "png", cid=cid, disposition="inline", filename=name)
    if table is not None:
        message.add_attachment(table, subtype="csv", filename=f"differences-{report.day}.csv")
    return message


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
    """Write every difference of trading day `day`, live or not, as CSV."""
    frames = load_frames(source, day, day, budgets=settings.budgets)
    return differences_csv(frames.differences)
