"""Business Unit: reports | Status: current.

The register of known divergences from the command line: `shadow rule` explains one kind of difference, `shadow accept` writes
the entry that makes one expected.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from fnmatch import fnmatchcase
from glob import escape as literal
from importlib.resources import files
from pathlib import Path
from shlex import quote

from reports.headline import runbook_of
from shadow.cli.errors import BadInput
from shadow.cli.output import escape, print_json, progress, say, write_whole
from shadow.cli.status import parse_day
from shadow.cli.stored import StackStore, demand, offline_store
from shadow.cli.target import find_target
from shadow.compare.kinds import BASIS_MEANING, KINDS, Kind
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Comparison, Difference
from shadow.contracts.words import count


def rule(kind: str, *, policy: Path | None, as_json: bool) -> None:
    """Do what `shadow rule` is told to: its options are in `usage`."""
    known = kind_named(kind)
    rules = default_policy() if policy is None else Policy.read(_text(policy), str(policy))
    severity, runbook = rules.severity_of(known.name), runbook_of(known.name, rules.severity_of(known.name))
    entries = [entry for entry in rules.known if known.coverable and fnmatchcase(known.name, entry.kind)]
    if as_json:
        print_json(
            {
                "kind": known.name,
                "meaning": known.meaning,
                "scope": known.scope.value,
                "level": known.level.value,
                "severity": severity.value,
                "default_severity": known.severity.value,
                "basis": known.basis.value,
                "follows": list(known.follows),
                "can_move_money": known.impact,
                "coverable": known.coverable,
                "runbook": f"docs/runbooks/{runbook}.md",
                "known": [entry.model_dump(mode="json") for entry in entries],
            }
        )
        return
    changed = "" if severity is known.severity else f" (the policy says so; by default {known.severity.value})"
    say(f"[bold]{known.name}[/bold]  {escape(known.meaning)}")
    say(f"severity   {severity.value}{changed}")
    say(f"found by   {escape(BASIS_MEANING[known.basis])}")
    say(f"follows    {', '.join(known.follows) or 'from no other kind: it is a first cause'}")
    say(f"dollars    {'it can move money' if known.impact else 'none of its own'}")
    say(f"runbook    docs/runbooks/{runbook}.md")
    if not known.coverable:
        say("register   no entry can cover it")
    for entry in entries:
        say(f"register   {escape(entry.id)}, until {entry.expires}, owner {escape(entry.owner)}: {escape(entry.reason)}")
    if known.coverable and not entries:
        say(f"register   no entry covers it; to add one: shadow accept PLAN_ID {known.name} --owner … --reason … --until …")


def accept(
    plan_id: str,
    kind: str,
    *,
    owner: str,
    reason: str,
    until: str,
    budget: int | None,
    policy: Path,
    folder: Path | None,
    file: Path | None,
    stage: str,
    aws: bool,
    as_json: bool,
) -> None:
    """Do what `shadow accept` is told to: its options are in `usage`."""
    known = kind_named(kind)
    offline, last = offline_store(folder, file), _day(until)
    if offline is not None:
        found = demand(offline, plan_id)
    else:
        target = find_target(stage, aws=aws, as_json=as_json)
        with progress("reading the comparison", quiet=as_json):
            found = demand(StackStore(target), plan_id)
    covered = _differences(found.comparison, known, last)
    text = _text(policy) if policy.exists() else files("shadow.compare").joinpath("default_policy.toml").read_text("utf-8")
    taken = {entry.id for entry in Policy.read(text, str(policy)).known}
    values = entry_for(covered, owner=owner, reason=reason, until=last, budget=budget or len(covered))
    values = {"id": _free_id(f"{known.name.lower()}-{found.comparison.trading_day}", taken), **values}
    added = with_entry(text, values, str(policy))
    write_whole(policy, added)
    if as_json:
        print_json({"policy": str(policy), "entry": values, "covers": len(covered)})
        return
    place = escape(str(policy))
    say(f"[green]registered[/green] {values['id']} in {place}: covers {count(len(covered), 'difference')} of this plan,")
    say(f"at most {values['budget_a_day']} a day, until {last}.")
    say(f"next: [bold]shadow rejudge --policy {escape(quote(str(policy)))}[/bold] shows what it changes")


def kind_named(name: str) -> Kind:
    """Give the kind of that name, in any case; raises `BadInput` with the closest ones there are."""
    known = KINDS.get(name.upper())
    if known is None:
        close = get_close_matches(name.upper(), KINDS, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else "; docs/difference-kinds.md lists them all"
        raise BadInput(f"No kind of difference is called {name}{hint}")
    return known


def _differences(comparison: Comparison, kind: Kind, last: date) -> list[Difference]:
    """Find what is to be covered; raises `BadInput` where nothing is, or no entry may."""
    if not kind.coverable:
        raise BadInput(f"{kind.name} can never be registered as known: it is {kind.severity.value} whatever else holds")
    if last < comparison.trading_day:
        raise BadInput(f"--until {last} is before the plan's trading day, {comparison.trading_day}: it would cover nothing")
    found = [each for each in comparison.differences if each.kind == kind.name]
    if not found:
        others = ", ".join(sorted({each.kind for each in comparison.differences})) or "none at all"
        raise BadInput(f"{comparison.plan_id} has no difference of kind {kind.name}; its differences: {others}")
    return found


def entry_for(covered: Sequence[Difference], *, owner: str, reason: str, until: date, budget: int) -> dict[str, str | int]:
    """Give the narrowest entry that covers all of `covered`: what they have in common stands in it, the rest is left open."""
    patterns: dict[str, str] = {"kind": covered[0].kind}
    fields, symbols = {each.field for each in covered}, {each.symbol for each in covered}
    sides, lanes = {each.action for each in covered}, {each.lane for each in covered}
    if len(fields) == 1:
        patterns["field"] = literal(fields.pop())
    if len(symbols) == 1 and (symbol := symbols.pop()) is not None:
        patterns["symbol"] = literal(symbol)
    if len(sides) == 1 and (side := sides.pop()) is not None:
        patterns["side"] = side.value
    if len(lanes) == 1:
        lane = lanes.pop()
        patterns["lane"] = "neither" if lane is None else lane.value
    return {"owner": owner, "reason": reason, **patterns, "expires": until.isoformat(), "budget_a_day": budget}


def with_entry(text: str, values: dict[str, str | int], name: str) -> str:
    """Add one entry to the text of a policy. Raises `InvalidPolicy` where the result is none, with what is wrong."""
    lines = [f"{key} = {_toml(key, value)}" for key, value in values.items()]
    added = text.rstrip("\n") + "\n\n[[known]]\n" + "\n".join(lines) + "\n"
    Policy.read(added, name)
    return added


def _toml(key: str, value: str | int) -> str:
    if isinstance(value, int) or key == "expires":
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _day(text: str) -> date:
    day = parse_day(text)
    if day is None:
        raise BadInput("--until: expected YYYY-MM-DD, was nothing")
    return day


def _free_id(wanted: str, taken: set[str]) -> str:
    number, free = 1, wanted
    while free in taken:
        number += 1
        free = f"{wanted}-{number}"
    return free


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--policy {path}: {(error.strerror or type(error).__name__).lower()}") from None
    except UnicodeDecodeError:
        raise BadInput(f"--policy {path}: not UTF-8 text") from None
