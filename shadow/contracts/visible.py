"""Business Unit: shared contracts | Status: current.

How a foreign text is shown. A lane, a broker or a plan may write what a terminal obeys, what turns the direction of reading, or
what cannot be seen. Each such character is written by its number, as JSON writes it, so that no text can paint over a verdict.
What is stored, and what is printed as JSON, keeps its content.
"""

from __future__ import annotations

import re

SHOWN = 4_000
"""Characters of one foreign text that are shown; the stored document has the rest."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Control characters and escapes but line end and tab, direction overrides, characters without width, half surrogate pairs."""


def visible(text: str) -> str:
    """Write every character that a terminal would obey or not show by its number. Line ends and tabs stay."""
    return _UNSEEN.sub(lambda found: _by_number(found[0]), text)


def one_line(text: str) -> str:
    """Write a foreign text on one line of bounded length: as `visible`, with line ends and tabs by number as well."""
    cut = text if len(text) <= SHOWN else f"{text[:SHOWN]} … ({len(text) - SHOWN:,} more characters in the document)"
    return visible(cut).replace("\n", "\\n").replace("\t", "\\t")


def _by_number(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
