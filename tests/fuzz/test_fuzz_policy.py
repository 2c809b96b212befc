"""Any text given as a policy is one, or is refused with the line and the key of every fault."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare.policy import Policy
from shadow.compare.policy_text import InvalidPolicy
from tests.fuzz.mutations import TEXTS, ended

TEXT = files("shadow.compare").joinpath("default_policy.toml").read_text(encoding="utf-8")
LINES = TEXT.split("\n")
KNOWN = """
[[known]]
id = "one"
owner = "somebody"
reason = "because"
kind = "fill.price"
expires = 2027-01-01
budget_a_day = 3
"""
PIECES = (
    "x = 1",
    "[x]",
    "[[known]]",
    '["a\\"#]"]',
    "['a]#'] # ]",
    "[rules . value]",
    "[[ known ]] # one",
    'x = """\n[not.a.table]\n"""',
    "x = [\n 1,\n # 2\n]",
    "version = 1",
    "version = true",
    "version = " + "1" * 5_000,
    "version = 0x" + "f" * 5_000,
    "version = 1e999999999",
    "version = nan",
    "x = 2024-13-45",
    "x = 24:61:00",
    "x = { a = 1, b = { c = [1, {d = 2}] } }",
    "x." + ".".join("a" * 300) + " = 1",
    "x = " + "[" * 2_000,
    '"" = 1',
    '"\\ud800" = 1',
    "\x00",
    "\r",
    "\ufeff",
    KNOWN,
    KNOWN.replace("fill.price", "no.such"),
    KNOWN.replace("3", "0").replace("2027-01-01", "2027-01-01T00:00:00"),
)
VALUES = ("0", "-1", "true", '""', '"x"', "[]", "{}", "nan", "inf", "1.5", "1979-05-27", "'''\n'''", "[[1]]", '"1E+999999"')


@st.composite
def policies(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Give the packaged policy with lines dropped, doubled, swapped, with other values, or with pieces of anything put in."""
    lines = [*LINES]
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(("drop", "double", "swap", "value", "piece", "inside"))):
            case "drop":
                del lines[place]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[place])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[place], lines[other] = lines[other], lines[place]
            case "value":
                name, equals, _ = lines[place].partition("=")
                lines[place] = f"{name}{equals} {draw(st.sampled_from(VALUES))}" if equals else lines[place]
            case "piece":
                lines.insert(place, draw(st.sampled_from(PIECES)))
            case _:
                cut = draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:cut] + draw(st.sampled_from(TEXTS) | st.text(max_size=3)) + lines[place][cut:]
    return "\n".join(lines)


@settings(max_examples=100)
@given(policies() | st.text() | st.sampled_from(PIECES))
def test_a_text_is_a_policy_or_is_refused_with_line_and_key(text: str) -> None:
    read = ended(lambda: Policy.read(text, "given.toml"))
    if read.error is None:
        assert Policy.from_values(read.answer.model_dump()).hash == read.answer.hash
        return
    assert isinstance(read.error, InvalidPolicy)
    assert read.error.faults
    count = text.replace("\r\n", "\n").count("\n") + 1
    for fault in read.error.faults:
        assert 1 <= fault.line <= count
        assert fault.key
        assert fault.expected
        assert fault.found


@settings(max_examples=30)
@given(st.integers(0, len(LINES) - 1), st.sampled_from(VALUES))
def test_a_wrong_value_is_refused_at_its_own_line(place: int, value: str) -> None:
    name, equals, _ = LINES[place].partition("=")
    if not equals or LINES[place].lstrip().startswith("#") or LINES[place].startswith((" ", '"')):
        return
    text = "\n".join([*LINES[:place], f"{name}= {value}", *LINES[place + 1 :]])
    read = ended(lambda: Policy.read(text))
    faults = read.error.faults if isinstance(read.error, InvalidPolicy) else ()
    own = [fault for fault in faults if name.strip() in fault.key]
    assert not own or any(fault.line == place + 1 for fault in own), faults
