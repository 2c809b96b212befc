"""Business Unit: reports | Status: current.

Renders the report as a mail: plain text, HTML with the pictures inside the message (nothing is fetched), and the day's
differences as a table to open elsewhere. Its first lines say the verdict, the money and the way to cut-over.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from reports.daily.charts import charts_of
from reports.daily.html import environment
from reports.daily.values import DailyReport

__all__ = ["EmailMessage", "render_mail"]

_DOMAIN = "divergence-report"


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
