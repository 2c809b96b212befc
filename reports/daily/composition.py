"""Business Unit: reports | Status: current.

The one place where the daily report's function is put together: environment, bucket, ledger, policy, mail.

Where a finished report goes: the page and its values into the evidence bucket, the mail out through SES. The page is archived
before the mail is sent, so a mail that is refused loses nothing. The pages to browse lie beside the reports, below `site/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import Field

from reports.daily.build import ReportSettings, build_report
from reports.daily.html import render_page, to_json
from reports.daily.mail import render_mail, render_week, report_csv
from reports.daily.values import DailyReport
from reports.data.trading_calendar import trading_days_before
from reports.noise import measured, tolerances_of
from reports.readiness.readiness import KnownEntry, ReadinessPolicy, Statement
from reports.site import Options, Register, write_days
from reports.versions import LedgerBesidePlans, fault_of, told_apart
from reports.weekly import build_week, ends_week, week_of
from shadow.aws import clients
from shadow.aws.clients import Environment, code_of
from shadow.aws.observability import emit, logger
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.compare.policy import Policy
from shadow.contracts.errors import ShadowError, UnreachableSource
from shadow.contracts.vocabulary import Metric
from shadow.replay.plans import PlanTable
from shadow.settlement.judging import policy_at
from shadow.settlement.stored import Ledger, S3Source, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ses import SESClient


REPORTS = "reports/"
SITE = f"{REPORTS}site/"
_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript", "json": "application/json"}


class MailRefused(ShadowError):
    """The mail service did not take the report. The archived page exists all the same."""


@dataclass(frozen=True, slots=True)
class S3Archive:
    """The evidence bucket, below `reports/`. `region` is where its console is."""

    client: S3Client
    bucket: str
    region: str

    def keep(self, day: date, page: str, values: str) -> str:
        """Store page and values of `day`, over what was stored before; give the page's key. Raises `UnreachableSource`."""
        key = f"{REPORTS}day={day}/report.html"
        self._put(f"{REPORTS}day={day}/report.json", values, "application/json")
        self._put(key, page, "text/html; charset=utf-8")
        return key

    def mailed(self, about: str) -> str | None:
        """Give the id of the mail that went out about a day or a week, or None. Raises `UnreachableSource`."""
        found = self._get(_mail_key(about))
        return None if found is None else found.decode()

    def keep_mailed(self, about: str, message_id: str) -> None:
        """Remember that the mail about a day or a week went out. Raises `UnreachableSource`."""
        self._put(_mail_key(about), message_id, "text/plain")

    def read(self, name: str) -> bytes | None:
        """Read a page to browse; None where there is none. Raises `UnreachableSource`."""
        return self._get(f"{SITE}{name}")

    def write(self, name: str, body: bytes) -> None:
        """Write a page to browse. Raises `UnreachableSource`."""
        self._put(f"{SITE}{name}", body, _TYPES[name.rpartition(".")[2]])

    def link(self, key: str) -> str:
        """Give the address of an object in the AWS console, which asks the reader for credentials and never expires."""
        return f"{self.console}?region={self.region}&prefix={quote(key, safe='')}"

    @property
    def console(self) -> str:
        """The address of the bucket's objects in the AWS console."""
        return f"https://{self.region}.console.aws.amazon.com/s3/object/{self.bucket}"

    def _get(self, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if code_of(error) in ("NoSuchKey", "404"):
                return None
            raise UnreachableSource(f"s3://{self.bucket}/{key}", "to be read", type(error).__name__) from error
        except BotoCoreError as error:
            raise UnreachableSource(f"s3://{self.bucket}/{key}", "to be read", type(error).__name__) from error

    def _put(self, key: str, text: str | bytes, content_type: str) -> None:
        body = text.encode() if isinstance(text, str) else text
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(f"s3://{self.bucket}/{key}", "to be written", type(error).__name__) from error


def _mail_key(about: str) -> str:
    return f"{REPORTS}{about}/mailed.txt"


@dataclass(frozen=True, slots=True)
class SesMailer:
    """SES, which takes the raw message. The sender's identity must be verified there."""

    client: SESClient

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        """Send `message` and give its id. Raises `MailRefused` with SES's own words, which name what is missing."""
        address = parseaddr(str(message["From"]))[1]
        try:
            answer = self.client.send_raw_email(
                Source=address, Destinations=list(recipients), RawMessage={"Data": bytes(message)}
            )
        except ClientError as error:
            told = error.response["Error"]
            raise MailRefused(f"SES: expected the mail to be taken, was {told.get('Code')}: {told.get('Message')}") from error
        except BotoCoreError as error:
            raise MailRefused(f"SES: expected the mail to be taken, was {type(error).__name__}") from error
        return answer["MessageId"]


BROWSED_DAYS = 60
"""Trading days that the pages to browse in the bucket reach back; `shadow site` makes them of everything."""


class DailyReportEnvironment(Environment):
    """What the daily report needs. Without a sender or recipients it is archived and not mailed."""

    pair_ledger_table_name: str
    rebalance_plan_table_name: str
    evidence_bucket_name: str
    report_sender: str = ""
    report_recipients: str = ""
    policy_path: str = ""
    readiness_path: str = ""
    evidence_from: str = ""
    aws_region: str = Field(default="us-east-1")

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses, without blanks."""
        return tuple(address.strip() for address in self.report_recipients.split(",") if address.strip())


@dataclass(frozen=True, slots=True)
class Published:
    """A report that has been published. `message_id` is None where nobody was to get it.

    `week_id` is the mail about the week; None where nobody was to get it, or the week goes on.
    """

    report: DailyReport
    page_key: str
    message_id: str | None
    week_id: str | None = None


@dataclass(frozen=True, slots=True)
class Publisher:
    """Builds, archives and mails the report of a day, and at the end of a week the week's; writes the pages to browse."""

    source: Source
    ledger: Ledger
    archive: S3Archive
    mailer: SesMailer
    settings: ReportSettings
    sender: str
    recipients: tuple[str, ...]

    def publish(self, day: date, now: datetime) -> Published:
        """Publish the report of trading day `day`; a mail goes out once, however often this is called.

        Raises what `build_report` raises, `UnreachableSource` and `MailRefused`; and, when the report is out, what kept the
        control's plan table from being read.
        """
        published = self._publish(day, now)
        fault = fault_of(self.ledger)
        if fault is not None:
            raise fault
        return published

    def _publish(self, day: date, now: datetime) -> Published:
        report = build_report(self.source, day, ledger=self.ledger, settings=self.settings, now=now)
        key = self.archive.keep(day, render_page(report), to_json(report))
        emit({Metric.KNOWN_DIVERGENCE_OVER_BUDGET: sum(entry.state == "over budget" for entry in report.known)})
        browse = self.archive.link(f"{SITE}index.html")

        def daily() -> EmailMessage:
            table = report_csv(self.source, day, self.settings)
            page_url, sender, recipients = self.archive.link(key), self.sender, self.recipients
            return render_mail(report, sender=sender, recipients=recipients, page_url=page_url, browse=browse, table=table)

        def weekly() -> EmailMessage:
            stage, ledger, statement = self.settings.stage, self.ledger, report.readiness
            week = build_week(self.source, day, stage=stage, ledger=ledger, statement=statement, register=self._register)
            return render_week(week, sender=self.sender, recipients=self.recipients, now=now, browse=browse)

        try:
            message_id = self._mail(f"day={day}", daily)
            week_id = self._mail(f"week={week_of(day)[0]}", weekly) if ends_week(day) else None
        finally:
            self._browse(day, report.readiness)
        return Published(report, key, message_id, week_id)

    @property
    def _register(self) -> Register:
        return Register(self.settings.budgets, self.settings.register)

    def _mail(self, about: str, render: Callable[[], EmailMessage]) -> str | None:
        """Send a mail unless it went out before; give its id, None where nobody is to get it. Raises `MailRefused`."""
        if not (self.sender and self.recipients):
            return None
        already = self.archive.mailed(about)
        if already is not None:
            logger().info("the mail went out before and is not sent again", extra={"about": about, "messageId": already})
            return already
        try:
            message_id = self.mailer.send(render(), self.recipients)
        except Exception:
            emit({Metric.NOTIFICATION_FAILURES: 1})
            logger().warning("the report is archived and was not mailed", extra={"about": about})
            raise
        self.archive.keep_mailed(about, message_id)
        return message_id

    def _browse(self, day: date, statement: Statement) -> None:
        """Write the pages to browse of the last `BROWSED_DAYS` trading days: after the mails, which lose nothing by it."""
        days, (source, ledger) = (trading_days_before(day, BROWSED_DAYS)[0], day), told_apart(self.source, self.ledger)
        options = Options(title=f"shadow {self.settings.stage}", evidence=self.settings.evidence_prefix)
        written = write_days(
            source, self.archive, days, options=options, ledger=ledger, statement=statement, register=self._register
        )
        logger().info("pages written", extra={"pages": written.pages, "changed": written.changed})


def known_entries(policy: Policy) -> tuple[KnownEntry, ...]:
    """Take from the policy's register what readiness and report need."""
    return tuple(
        KnownEntry(id=entry.id, owner=entry.owner, reason=entry.reason, expires=entry.expires, budget_a_day=entry.budget_a_day)
        for entry in policy.known
    )


def settings_of(rules: Policy, /, **more: object) -> ReportSettings:
    """Give the settings of a report on pairs that `rules` judged."""
    return ReportSettings.model_validate(
        {"known": known_entries(rules), "tolerances": tolerances_of(rules), "noise_floor": measured(rules), **more}
    )


def publisher_from(environment: DailyReportEnvironment) -> Publisher:
    """Put the publisher together. Raises `ConfigurationError`, and `InvalidPolicy` that names line and key."""
    archive = S3Archive(clients.s3(), environment.evidence_bucket_name, environment.aws_region)
    settings = settings_of(
        policy_at(environment.policy_path),
        stage=environment.stage,
        policy=ReadinessPolicy.read(environment.readiness_path).restarted(environment.evidence_from),
        evidence_prefix=f"{archive.console}?region={archive.region}&prefix=",
    )
    ledger = DynamoDbPairLedger(clients.dynamodb(), environment.pair_ledger_table_name)
    return Publisher(
        source=S3Source(environment.evidence_bucket_name, ledger=ledger),
        ledger=LedgerBesidePlans(ledger, PlanTable(clients.dynamodb(), environment.rebalance_plan_table_name)),
        archive=archive,
        mailer=SesMailer(clients.ses()),
        settings=settings,
        sender=environment.report_sender,
        recipients=environment.recipients,
    )
