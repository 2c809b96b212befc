"""Business Unit: reports | Status: current.

The table that goes with the mail, as CSV that a spreadsheet can open and cannot execute: a cell that would be read as a
formula is led by an apostrophe (OWASP, "CSV injection"). Plain numbers stay numbers, their sign included.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date

import pandas as pd

from reports.daily.build import ReportSettings
from reports.data.columns import DIFFERENCES
from reports.data.frames import load_frames
from reports.sources import Source

MAX_ROWS = 5_000
_TRIGGERS = "=+-@\t\r\n|%＝＋－＠"  # noqa: RUF001 - full-width forms that spreadsheets read alike
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def safe_cell(value: object) -> str:
    """Write one cell as text that no spreadsheet executes; empty where there is nothing."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    text = str(value).replace("\x00", "")
    if text.lstrip()[:1] in tuple(_TRIGGERS) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


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
