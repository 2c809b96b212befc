"""Business Unit: tests | Status: current.

README can be read in five minutes, and leads to every page of docs.
"""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\(([^)#]+)\)", README)
WORDS = 1_250
"""Five minutes at 250 words a minute."""


def test_it_takes_five_minutes_to_read() -> None:
    text = re.sub(r"\]\([^)]*\)|[|·!\[\]`#*-]", " ", README)

    assert len(text.split()) <= WORDS


def test_every_link_leads_somewhere_and_every_page_of_docs_is_linked() -> None:
    assert not [link for link in LINKS if not link.startswith("https://") and not (CHECKOUT / link).exists()]
    assert not [page for page in (CHECKOUT / "docs").glob("*.md") if f"docs/{page.name}" not in LINKS]
