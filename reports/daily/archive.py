"""Business Unit: reports | Status: current.

Where a finished report goes: the page and its values into the evidence bucket, the mail out through SES. The page is archived
before the mail is sent, so a mail that is refused loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from reports.data.errors import MailRefused, UnreachableSource

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ses import SESClient

REPORTS = "reports/"


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

    def link(self, key: str) -> str:
        """Give the address of an object in the AWS console, which asks the reader for credentials and never expires."""
        return f"{self.console}?region={self.region}&prefix={quote(key, safe='')}"

    @property
    def console(self) -> str:
        """The address of the bucket's objects in the AWS console."""
        return f"https://{self.region}.console.aws.amazon.com/s3/object/{self.bucket}"

    def _put(self, key: str, text: str, content_type: str) -> None:
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=text.encode(), ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(f"s3://{self.bucket}/{key}", "to be written", type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class SesMailer:
    """SES, which takes the raw message. The sender's identity must be verified there."""

    client: SESClient

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        """Send `message` and give its id. Raises `MailRefused`."""
        try:
            answer = self.client.send_raw_email(
                Source=str(message["From"]), Destinations=list(recipients), RawMessage={"Data": bytes(message)}
            )
        except ClientError as error:
            raise MailRefused(f"SES: expected the mail to be taken, was {error.response['Error'].get('Code')}") from error
        except BotoCoreError as error:
            raise MailRefused(f"SES: expected the mail to be taken, was {type(error).__name__}") from error
        return answer["MessageId"]
