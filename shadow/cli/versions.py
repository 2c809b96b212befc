"""Business Unit: command line | Status: current.

`shadow version`: publish what is deployed as a version, and list the versions that there are.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from shadow.aws import clients
from shadow.aws.promotions import PromotionLog
from shadow.aws.versions import ChangedMeanwhile, SplitAlias, Versions
from shadow.cli.output import ERR, escape, print_json, progress, say
from shadow.cli.target import Target
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.promotion import PUBLISH, Promotion
from shadow.contracts.words import count, moment_text


class NotOurs(ConfigurationError):
    """The workflow belongs to another stack, which publishes its versions itself."""


def publish_deployed(target: Target, by: str, note: str, *, as_json: bool) -> None:
    """Publish what is deployed as a version, and record who did it. Raises `NotOurs`, `ChangedMeanwhile`."""
    if target.status.endswith("_IN_PROGRESS"):
        raise ChangedMeanwhile(f"stack shadow-{target.stage} is {target.status}: publish when the deployment has ended")
    versions = versions_of(target)
    who = by.strip() or os.environ.get("USER") or "unnamed"
    with progress("publishing the functions and the workflow", quiet=as_json):
        found, is_new = versions.publish(clients.lambda_(), (note or f"published by {who}")[:256])
    if is_new:
        words = {"by": who, "reason": note.strip() or "published", "readiness": "not asked", "before": None}
        record = {"kind": PUBLISH, "at": datetime.now(UTC), "machine": versions.machine, "after": found.arn}
        PromotionLog(clients.s3(), target.name("EvidenceBucketName")).keep(Promotion.parse(record | words))
    if as_json:
        print_json({"version": found.arn, "number": found.number, "functions": found.functions, "new": is_new})
        return
    said = "published" if is_new else "was published before, nothing has changed since"
    say(f"[green]version {found.number}[/green]  {said}: {count(len(found.functions), 'function')}")
    say(f"next: [bold]shadow candidate --version {found.number}[/bold]")


def show_versions(target: Target, *, as_json: bool) -> None:
    """Show the published versions, the newest first."""
    versions = versions_of(target)
    try:
        current = versions.in_production()
    except SplitAlias as split:
        current = None
        ERR.print(f"[yellow]{escape(str(split))}[/yellow]", soft_wrap=True)
    log = PromotionLog(clients.s3(), target.name("EvidenceBucketName")).all()
    told = {entry.after: entry for entry in log if not entry.moves}
    rows = [(versions.find(arn), told.get(arn)) for arn in versions.all()]
    if as_json:
        print_json(
            {
                "versions": [
                    {
                        "version": found.arn,
                        "number": found.number,
                        "created": found.created.isoformat(),
                        "functions": found.functions,
                        "in_production": found.arn == current,
                        "by": entry and entry.by,
                        "note": entry and entry.reason,
                    }
                    for found, entry in rows
                ]
            }
        )
        return
    for found, entry in rows:
        mark = "[green]in production[/green]" if found.arn == current else ""
        words = f"{escape(entry.by)}: {escape(entry.reason)}" if entry else "[dim]published without a record[/dim]"
        say(f"{found.number:>5}  {moment_text(found.created)}  {mark or '':<13}  {words}")
    if not rows:
        say("no version is published: [bold]shadow version publish[/bold]")


def versions_of(target: Target) -> Versions:
    """Give the versions of the stack's own workflow. Raises `NotOurs`."""
    theirs = target.parameters.get("ExistingStateMachineArn")
    if theirs:
        raise NotOurs(f"{theirs} belongs to another stack, which publishes its versions itself")
    return Versions(clients.stepfunctions(), target.name("StateMachineArn"))
