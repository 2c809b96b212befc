"""Business Unit: command line | Status: current.

Whether people are reached: the sender of the daily report is verified, and in SES's sandbox its recipients too; a mail names its
runbook by an address that opens; the webhook's secret can be read and is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parseaddr

from shadow.aws import clients
from shadow.aws.webhook import read_webhook, refuse_unsafe_address
from shadow.cli.doctor.finding import Account, Finding, bad, ok, warn
from shadow.contracts.errors import ConfigurationError

SANDBOX_QUOTA = 200.0
MOST_RECIPIENTS = 50
"""How many recipients SES takes for one mail."""


def alarms(account: Account) -> Iterator[Finding]:
    """Check that a mail about an alarm leads to its runbook, and that the webhook's secret is one."""
    base = account.parameter("RunbookBaseUrl")
    if base.startswith("https://"):
        yield ok("runbook links", base)
    else:
        found = f"RunbookBaseUrl is {base}: a mail cannot link to a runbook"
        yield warn("runbook links", found, "give the https address where docs/runbooks can be read")
    secret_id = account.parameter("AlertWebhookSecretId")
    if not secret_id:
        return
    try:
        hook = read_webhook(clients.secretsmanager(), secret_id)
        refuse_unsafe_address(hook.url)
    except ConfigurationError as error:
        yield bad("webhook", str(error), 'store {"url": "https://…", "format": "slack"} (or "teams") in it')
    else:
        yield ok("webhook", f"{secret_id}, for {hook.format}")


def mail(account: Account) -> Iterator[Finding]:
    """Check sender and recipients."""
    sender = parseaddr(account.parameter("ReportSender"))[1]
    recipients = [address.strip() for address in account.parameter("ReportRecipients").split(",") if address.strip()]
    if not sender:
        yield warn("mail sender", "ReportSender is empty: the report is archived and not mailed", "name a verified SES identity")
        return
    if not recipients:
        yield warn("mail recipients", "ReportRecipients is empty: nobody gets the report", "name who is to read it")
    if len(recipients) > MOST_RECIPIENTS:
        found = f"{len(recipients)} in ReportRecipients, SES takes {MOST_RECIPIENTS} a mail"
        yield bad("mail recipients", found, "name a list's address in their place")
        return
    states = _states([sender, *recipients])
    if _verified(sender, states):
        yield ok("mail sender", sender)
    else:
        yield bad("mail sender", f"{sender} is not verified", "verify the address or its domain in SES, in this region")
    quota = clients.ses().get_send_quota().get("Max24HourSend", 0.0)
    unverified = [address for address in recipients if not _verified(address, states)]
    if quota > SANDBOX_QUOTA:
        yield ok("mail recipients", f"{len(recipients)}; {quota:.0f} mails a day")
    elif unverified:
        found = f"SES is in its sandbox ({quota:.0f} mails a day) and {', '.join(unverified)} not verified"
        yield bad("mail recipients", found, "verify them, or ask for production access")
    else:
        yield ok("mail recipients", f"{len(recipients)}, all verified (SES sandbox)")


def _states(addresses: list[str]) -> Mapping[str, str]:
    """Read the verification of addresses and of their domains."""
    names = list(dict.fromkeys([*addresses, *(address.rsplit("@", 1)[-1] for address in addresses)]))
    found = clients.ses().get_identity_verification_attributes(Identities=names)["VerificationAttributes"]
    return {name: str(entry["VerificationStatus"]) for name, entry in found.items()}


def _verified(address: str, states: Mapping[str, str]) -> bool:
    return "Success" in (states.get(address), states.get(address.rsplit("@", 1)[-1]))
