"""Business Unit: reports | Status: current.

Where a finished report goes: the page and its values into the evidence bucket, the mail out through SES. The page is archived
before the mail is sent, so a mail that is refused loses nothing. The pages to browse lie beside the reports, below `site/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from email.message import EmailMessage
from email.utils import parseaddr
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from reports.data.errors import MailRefused
from shadow.aws.errors import code_of
from shadow.contracts.errors import UnreachableSource

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ses import SESClient

REPORTS = "reports/"
SITE = f"{REPORTS}site/"
_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript", "json": "application/json"}


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
