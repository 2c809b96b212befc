"""Business Unit: documentation | Status: current.

`docs/policy-reference.md` and `docs/difference-kinds.md`, made from the models and the table of kinds, so that they cannot say
anything that the comparison does not do. `python -m local.pages.policy_reference` writes them, `--check` only compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shadow.compare.kinds import BASIS_MEANING, KINDS, Kind
from shadow.compare.policy import (
    Applies,
    Deadlines,
    Evidence,
    KnownDivergence,
    LaneEvidence,
    Limits,
    Materiality,
    NoiseFloor,
    OwnAbsoluteRule,
    OwnBpsRule,
    OwnExactRule,
    Policy,
    RuleNoise,
    Rules,
    default_policy,
)
from shadow.compare.rules import (
    AbsoluteRule,
    BpsRule,
    DriftRule,
    DurationRatioRule,
    ExactRule,
    OrderedRule,
    SetRule,
    TicksRule,
)
from shadow.contracts.comparison import Level, Severity
from shadow.contracts.outcome import MAX_OWN_FIELDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
RULES = (ExactRule, AbsoluteRule, BpsRule, TicksRule, SetRule, OrderedRule, DurationRatioRule, DriftRule)
SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("limits", Limits),
    ("deadlines", Deadlines),
    ("applies", Applies),
    ("evidence", Evidence),
    ("evidence.legacy", LaneEvidence),
    ("evidence.workflow", LaneEvidence),
    ("evidence.declared", LaneEvidence),
    ("materiality", Materiality),
    ("known", KnownDivergence),
)
MADE = "<!-- Made by `python -m local.pages.policy_reference`. Change the models, not this page. -->"


def pages() -> Mapping[str, str]:
    """Make both pages: name to text."""
    return {"policy-reference.md": policy_page(), "difference-kinds.md": kinds_page()}


def policy_page() -> str:
    """Describe every key of a policy, from the models, with the default policy's values."""
    lines = [
        "# Policy reference",
        "",
        MADE,
        "",
        "A policy is one TOML file. It is read whole, or refused with the line, the key and what was expected there. Decimals",
        'stand in quotes (`"0.01"`): a bare number would pass through a binary float. The default is',
        f"`shadow/compare/default_policy.toml`, hash `{default_policy().hash[:16]}…`. A stored comparison names the hash of the",
        "policy it was judged by.",
        "",
        "## Rules",
        "",
        "| rule | keys | what equal means |",
        "|---|---|---|",
        *(_rule_row(rule) for rule in RULES),
        "",
        "For every rule: null equals null, and no value; an absent field is null; NaN equals nothing; an infinity equals only",
        "itself; a tolerance includes its edge, so 100.01 against 100.00 at tolerance 0.01 is equal; which of the two comes",
        "first never matters; arithmetic is exact. A key that stands twice is refused, in a policy and in a document.",
        "",
        "## `[rules]`",
        "",
        "| field | rules it takes | default | what is held against what |",
        "|---|---|---|---|",
        *(_field_row(name, info) for name, info in Rules.model_fields.items()),
    ]
    for name, model in SECTIONS:
        lines += [
            "",
            f"## `[{'[' if name == 'known' else ''}{name}{']' if name == 'known' else ''}]`",
            "",
            *_section(name, model),
        ]
    lines += ["", "## `[own.NAME]`", "", *_own_text()]
    lines += ["", "## `[severity]`", "", *_severity_text()]
    lines += ["", "## `[noise]`", "", *_noise_text(), ""]
    return "\n".join(lines)


def _rule_row(rule: type[BaseModel]) -> str:
    name = str(get_args(rule.model_fields["rule"].annotation)[0])
    keys = ", ".join(f"`{key}`: {info.description}" for key, info in rule.model_fields.items() if key != "rule")
    return f"| `{name}` | {keys or 'none'} | {_first_line(rule)} |"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n", 1)[0]


def _rule_names(annotation: object) -> Iterator[str]:
    if get_origin(annotation) is Annotated:
        yield from _rule_names(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _rule_names(part)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield str(get_args(annotation.model_fields["rule"].annotation)[0])


def _field_row(name: str, info: FieldInfo) -> str:
    rules = ", ".join(f"`{rule}`" for rule in _rule_names(info.annotation))
    return f"| `{name}` | {rules} | {getattr(default_policy().rules, name)} | {_cell(info.description)} |"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


def _section(name: str, model: type[BaseModel]) -> list[str]:
    text = (model.__doc__ or "").strip()
    lines = [" ".join(part.strip() for part in text.split("\n") if part.strip()), ""]
    values = _values_at(name)
    head = "default" if values is not None else "required"
    lines += [f"| key | {head} | meaning |", "|---|---|---|"]
    for key, info in model.model_fields.items():
        if info.annotation is LaneEvidence:
            lines.append(f"| `{key}` | see [`[{name}.{key}]`](#{name}{key}) | what must be known of the lane `{key}` |")
            continue
        shown = _shown(getattr(values, key)) if values is not None else ("yes" if info.is_required() else f"no: `{info.default}`")
        lines.append(f"| `{key}` | {shown} | {_cell(info.description)} |")
    return lines


def _values_at(name: str) -> object | None:
    if name == "known":
        return None
    value: object = default_policy()
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{entry}`" for entry in value) or "none"
    if isinstance(value, BaseModel):
        return ", ".join(f"`{key}` {getattr(value, key)}" for key in type(value).model_fields)
    return f"`{value}`"


def _own_text() -> list[str]:
    fields = Policy.model_fields["own"].description
    return [
        f"One table for each of the {fields}; at most {MAX_OWN_FIELDS}. The name is the one in the [lane file](lanes.md). In the",
        "lanes of this project it is the attribute's: of the control's trade item, of its `execution_data` or of its run item,",
        "and of the workflow's trade result or its state, there in camelCase.",
        "",
        "```toml",
        "[own.commission]",
        'rule = "absolute"',
        'tolerance = "0.01"',
        'severity = "MAJOR"',
        "```",
        "",
        "| rule | keys | what equal means |",
        "|---|---|---|",
        *(_rule_row(rule) for rule in (OwnExactRule, OwnAbsoluteRule, OwnBpsRule)),
        "",
        "A value that differs is the difference `OWN_FIELD` with the field `own.NAME`. Nothing says which lane is right, so it",
        "is about neither. Null equals null alone. A field that only one lane has is a gap that names it, and so is one that",
        "neither has: `shadow lane check --policy` says so before a plan is published. A stored pair was read under the policy",
        "of its day: `shadow rejudge` answers another tolerance, and a field that was not read then is a gap.",
    ]


def _severity_text() -> list[str]:
    never = ", ".join(f"`{kind.name}`" for kind in KINDS.values() if not kind.coverable)
    description = Policy.model_fields["severity"].description
    return [
        f'{description}, as `KIND = "MINOR"`. The kinds are in [difference-kinds.md](difference-kinds.md).',
        f"{never} can neither be given another severity nor be covered by a known divergence.",
    ]


def _noise_text() -> list[str]:
    figures = ", ".join(f"`{name}`" for name in RuleNoise.model_fields)
    return [
        f"{Policy.model_fields['noise'].description}: `shadow noise --out FILE` writes these tables. They judge nothing and are",
        f"no part of the policy's hash; the report shows each tolerance beside them. `[noise.rules.RULE]` has {figures}.",
        "",
        "| key | meaning |",
        "|---|---|",
        *(f"| `{name}` | {_cell(info.description) or '-'} |" for name, info in NoiseFloor.model_fields.items()),
    ]


def kinds_page() -> str:
    """List every kind of difference with its level, severity, meaning, and how its attribution is found."""
    lines = [
        "# Kinds of difference",
        "",
        MADE,
        "",
        f"The closed list: {len(KINDS)} kinds. CRITICAL would move money or safety. A difference that follows from another one",
        "is told as its consequence: it names its cause, is INFO, and its dollars stand at the cause.",
        "",
        "How attribution is found:",
        "",
        *(f"- **{basis.value}**: {meaning}" for basis, meaning in BASIS_MEANING.items()),
    ]
    for level in Level:
        rows = [kind for kind in KINDS.values() if kind.level is level]
        lines += ["", f"## Level: {level.value}", "", "| kind | about | severity | attribution | meaning | may follow from |"]
        lines += ["|---|---|---|---|---|---|", *(_kind_row(kind) for kind in sorted(rows, key=_rank))]
    return "\n".join([*lines, ""])


def _rank(kind: Kind) -> tuple[int, int]:
    return (list(Severity).index(kind.severity), kind.order)


def _kind_row(kind: Kind) -> str:
    causes = ", ".join(f"`{cause}`" for cause in kind.follows)
    meaning = _cell(kind.meaning) + ("" if kind.coverable else " Never covered.")
    return f"| `{kind.name}` | {kind.scope.value} | {kind.severity.value} | {kind.basis.value} | {meaning} | {causes} |"


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or with `--check` tell which are stale; exit code 1 when one is."""
    parser = argparse.ArgumentParser(description="Make docs/policy-reference.md and docs/difference-kinds.md from the code.")
    parser.add_argument("--check", action="store_true", help="only tell whether the pages are fresh")
    checking = parser.parse_args(arguments).check
    stale = [name for name, text in pages().items() if _read(DOCS / name) != text]
    for name in stale:
        if checking:
            sys.stderr.write(f"docs/{name} is stale: run python -m local.pages.policy_reference\n")
        else:
            (DOCS / name).write_text(pages()[name], encoding="utf-8")
    return 1 if checking and stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
