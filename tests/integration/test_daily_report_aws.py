"""The daily report against AWS: read from bucket and ledger, archived, mailed; and nothing on a day without trading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.ses.models import ses_backends

from functions.daily_report import lambda_handler as function
from reports.daily import composition, html, mail
from reports.daily.composition import DailyReportEnvironment, MailRefused, S3Archive, SesMailer, publisher_from
from reports.data.frames import load_frames
from reports.data.trading_calendar import trading_days
from shadow.aws import clients
from shadow.aws.pair_ledger import DynamoDbPairLedger, pair_to_item
from shadow.aws.table import to_item
from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable, InvalidPayload, UnreachableSource, UnreadableDocument
from shadow.settlement.stored import S3Source
from tests.factories.cloud_tables import fresh_aws, make_table
from tests.factories.comparisons import comparison_of, diverged, document, key_of
from tests.factories.pairs import judged

BUCKET, TABLE, PLANS, SENDER = "evidence", "pairs", "plans", "shadow@example.com"
DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 7))
LOOKED_BACK = 15
"""Trading days that a report counts here: each is two queries, and the deployed function asks for a year of them."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    values = {
        "AWS_REGION": "us-east-1",
        "STAGE": "dev",
        "EVIDENCE_BUCKET_NAME": BUCKET,
        "PAIR_LEDGER_TABLE_NAME": TABLE,
        "REBALANCE_PLAN_TABLE_NAME": PLANS,
        "REPORT_SENDER": SENDER,
        "REPORT_RECIPIENTS": "desk@example.com, risk@example.com",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    for module in (html, mail):
        monkeypatch.setattr(module, "charts_of", lambda _report: ())  # no test here looks at pictures, which take long to draw
    monkeypatch.setattr(composition, "settings_of", partial(composition.settings_of, days=LOOKED_BACK))
    function._publisher.cache_clear()
    with fresh_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        boto3.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        make_table(TABLE, "GSI1")
        make_table(PLANS)
        boto3.client("ses").verify_email_identity(EmailAddress=SENDER)
        yield
    function._publisher.cache_clear()


def store(*comparisons: Comparison) -> None:
    for entry in comparisons:
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key_of(entry), Body=document(entry))


def mails() -> list[EmailMessage]:
    raw = ses_backends["123456789012"]["us-east-1"].sent_messages
    return [message_from_bytes(str(entry.raw_data).encode(), policy=default) for entry in raw]  # type: ignore[misc]


def page(name: str) -> str:
    return boto3.client("s3").get_object(Bucket=BUCKET, Key=f"reports/site/{name}")["Body"].read().decode()


def put_ledger(*comparisons: Comparison) -> None:
    for entry in comparisons:
        digest = sha256(document(entry)).hexdigest()
        pair = judged(entry, comparison_key=key_of(entry), comparison_sha256=digest)
        boto3.client("dynamodb").put_item(TableName=TABLE, Item=pair_to_item(pair))


@pytest.mark.usefixtures("cloud")
def test_the_report_is_archived_and_mailed_with_a_link() -> None:
    pairs = [comparison_of(DAYS[0]), diverged(comparison_of(DAYS[1]))]
    store(*pairs)
    put_ledger(*pairs)
    answer = function.lambda_handler({"day": str(DAYS[1])}, None)
    assert answer["status"] == "MAILED"
    assert (answer["verdict"], answer["readiness"]) == ("DIVERGED", "BLOCKED")
    page = boto3.client("s3").get_object(Bucket=BUCKET, Key=str(answer["pageKey"]))
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert "DIVERGED" in page["Body"].read().decode()
    assert kept(DAYS[1])["counts"]["settle_seconds"] == 41.0
    (mail,) = mails()
    assert mail["To"] == "desk@example.com, risk@example.com"
    html = mail.get_body(("html",))
    assert html is not None
    assert f"s3/object/{BUCKET}?region=us-east-1&amp;prefix=reports%2Fday%3D{DAYS[1]}" in html.get_content()


@pytest.mark.usefixtures("cloud")
def test_r6_a_plan_of_the_control_that_nobody_published_is_told_of() -> None:
    entry = comparison_of(DAYS[0])
    store(entry)
    put_ledger(entry)
    never = entry.plan.model_copy(update={"plan_id": f"never-{entry.plan_id}"})
    item = to_item({"PK": f"PLAN#{never.plan_id}", "SK": "METADATA", "plan_data": never.model_dump_json()})
    boto3.client("dynamodb").put_item(TableName=PLANS, Item=item)
    assert function.lambda_handler({"day": str(DAYS[0])}, None)["readiness"] == "NOT_YET"
    values = kept(DAYS[0])
    assert values["counts"]["unpaired"] == 1
    assert "1 plan with trades got no pair" in values["sentence"]
    assert "1 of 2 plans of the day have no pair" in coverage(values)


@pytest.mark.usefixtures("cloud")
def test_r6_where_the_plan_table_cannot_be_read_the_report_goes_out_is_not_ready_and_the_call_fails() -> None:
    entry = comparison_of(DAYS[0])
    store(entry)
    put_ledger(entry)
    boto3.client("dynamodb").delete_table(TableName=PLANS)
    with pytest.raises(EvidenceUnavailable, match="plans: ResourceNotFoundException"):
        function.lambda_handler({"day": str(DAYS[0])}, None)
    assert len(mails()) == 1
    assert "the control's plans cannot be read: plans:" in coverage(kept(DAYS[0]))


@pytest.mark.usefixtures("cloud")
def test_what_people_decided_is_read_from_the_file_and_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    decided = tmp_path / "readiness.toml"
    decided.write_text('days = 12\n[[closures]]\nday = 2025-01-09\nreason = "national day of mourning"\n', encoding="utf-8")
    monkeypatch.setenv("READINESS_PATH", str(decided))
    monkeypatch.setenv("EVIDENCE_FROM", f"{DAYS[0]} the sizing fault is fixed")
    function.lambda_handler({"day": str(DAYS[0])}, None)
    said = kept(DAYS[0])["readiness"]
    assert said["days_needed"] == 12
    assert said["period_began"] == f"restarted by EVIDENCE_FROM on {DAYS[0]}: the sizing fault is fixed"


def kept(day: date) -> dict[str, Any]:
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=f"reports/day={day}/report.json")["Body"].read()
    return dict(json.loads(body))


def coverage(values: dict[str, Any]) -> str:
    return next(str(each["reason"]) for each in values["readiness"]["criteria"] if each["name"] == "coverage")


@pytest.mark.usefixtures("cloud")
def test_publishing_again_replaces_the_page() -> None:
    store(comparison_of(DAYS[0]))
    put_ledger(comparison_of(DAYS[0]))
    first = function.lambda_handler({"day": str(DAYS[0])}, None)
    assert function.lambda_handler({"day": str(DAYS[0])}, None)["pageKey"] == first["pageKey"]
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="reports/day=")["Contents"]
    assert sorted(each["Key"].rsplit("/", 1)[-1] for each in listed) == ["mailed.txt", "report.html", "report.json"]


@pytest.mark.usefixtures("cloud")
def test_the_pages_to_browse_are_written_beside_the_reports_and_only_what_changed_is_written_again() -> None:
    pairs = [comparison_of(DAYS[0]), diverged(comparison_of(DAYS[1]))]
    store(*pairs)
    put_ledger(*pairs)
    function.lambda_handler({"day": str(DAYS[0])}, None)
    assert str(DAYS[1]) not in page("index.html"), "no day after the report's"
    function.lambda_handler({"day": str(DAYS[1])}, None)

    assert f'href="day/{DAYS[1]}.html"' in page("index.html")
    assert "2 published = 1 diverged + 1 matched." in page("index.html")
    assert "BLOCKED" in page("index.html")
    assert "DIVERGED" in page(f"pair/{pairs[1].run_id}.html")
    function.lambda_handler({"day": str(DAYS[1])}, None)
    versions = boto3.client("s3").list_object_versions(Bucket=BUCKET, Prefix="reports/site/index.html")
    assert len(versions["Versions"]) == 2, "what did not change is not written again"
    (html,) = (mail.get_body(("html",)) for mail in mails()[-1:])
    assert html is not None
    assert "reports%2Fsite%2Findex.html" in html.get_content()


@pytest.mark.usefixtures("cloud")
def test_after_the_last_trading_day_of_a_week_its_digest_is_mailed_once() -> None:
    week_before = diverged(comparison_of(date(2025, 10, 29)))
    pairs = [week_before, comparison_of(DAYS[0]), diverged(comparison_of(DAYS[3]))]
    store(*pairs)
    put_ledger(*pairs)
    assert function.lambda_handler({"day": str(DAYS[3])}, None)["weekMessageId"] is None
    for _ in range(2):
        assert function.lambda_handler({"day": str(DAYS[4])}, None)["weekMessageId"]

    (digest,) = (mail for mail in mails() if "Week of" in str(mail["Subject"]))
    assert digest["Subject"] == "[dev] Week of 2025-11-03: 1 of 2 pairs diverged, 0 new"
    for kind in ("plain", "html"):
        body = digest.get_body((kind,))
        assert body is not None
        told = body.get_content()
        assert "1 of 2 pairs does not agree" in told
        assert f"shadow explain {pairs[2].plan_id}" in told
        assert "still there" in told


@pytest.mark.usefixtures("cloud")
def test_w13_a_report_that_is_published_twice_is_mailed_once() -> None:
    answers = [function.lambda_handler({"day": str(DAYS[0])}, None) for _ in range(2)]
    assert answers[0]["messageId"] == answers[1]["messageId"]
    assert len(mails()) == 1


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("name", ["Shadow report", "Bericht für Zürich", "レポート"])
def test_w13_a_sender_may_have_a_name_in_any_script(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("REPORT_SENDER", f"{name} <{SENDER}>")
    assert function.lambda_handler({"day": str(DAYS[0])}, None)["status"] == "MAILED"
    (mail,) = mails()
    (sender,) = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, SENDER)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("day", ["2025-11-08", "2025-11-27"], ids=["saturday", "thanksgiving"])
def test_on_a_day_without_trading_nothing_is_sent(day: str) -> None:
    assert function.lambda_handler({"day": day}, None) == {"status": "NO_TRADING_DAY", "day": day}
    assert mails() == []
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket=BUCKET)


@pytest.mark.usefixtures("cloud")
def test_a_trading_day_with_nothing_published_is_mailed_all_the_same() -> None:
    answer = function.lambda_handler({"day": str(DAYS[2])}, None)
    assert (answer["status"], answer["verdict"]) == ("MAILED", "NOTHING PUBLISHED")
    (mail,) = mails()
    assert "NOTHING PUBLISHED" in str(mail["Subject"])


@pytest.mark.usefixtures("cloud")
def test_without_recipients_it_is_archived_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_RECIPIENTS", " ")
    assert function.lambda_handler({"day": str(DAYS[0])}, None)["status"] == "ARCHIVED"
    assert mails() == []


@pytest.mark.usefixtures("cloud")
def test_a_refused_mail_is_loud_counted_and_after_the_archive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPORT_SENDER", "nobody-verified@example.com")
    with pytest.raises(MailRefused, match="MessageRejected"):
        function.lambda_handler({"day": str(DAYS[0])}, None)
    assert '"NotificationFailures":[1.0]' in capsys.readouterr().out
    assert boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="reports/day=")["KeyCount"] == 2
    assert page("index.html"), "the pages are written all the same"


@pytest.mark.usefixtures("cloud")
def test_a_document_that_cannot_be_read_is_named() -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key_of(comparison_of(DAYS[0])), Body=b'{"plan_id": 3}')
    with pytest.raises(UnreadableDocument, match=r"s3://evidence/comparisons/day=2025-11-03/.*: plan_id: expected"):
        load_frames(S3Source(BUCKET), DAYS[0], DAYS[0])
    put_ledger(comparison_of(DAYS[0]))
    with pytest.raises(UnreadableDocument, match=r"s3://evidence/comparisons/.*the document that the ledger names"):
        function.lambda_handler({"day": str(DAYS[0])}, None)


@pytest.mark.usefixtures("cloud")
def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPayload, match="day: expected a date"):
        function.lambda_handler({"day": "tomorrow"}, None)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EVIDENCE_BUCKET_NAME", None),
        ("EVIDENCE_FROM", "soon"),
        ("EVIDENCE_FROM", "2025-11-24"),
        ("POLICY_PATH", "none.toml"),
        ("READINESS_PATH", "none.toml"),
    ],
)
def test_a_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        publisher_from(DailyReportEnvironment.load())


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("swapped", [False, True])
def test_the_bucket_gives_only_the_days_asked_for_and_of_a_run_the_document_that_the_ledger_names(*, swapped: bool) -> None:
    store(*(comparison_of(day) for day in DAYS))
    right, wrong = diverged(comparison_of(DAYS[2])), comparison_of(DAYS[2])
    store(*((wrong, right) if swapped else (right, wrong)))
    put_ledger(*(comparison_of(day) for day in DAYS if day != DAYS[2]), right)
    ledger = DynamoDbPairLedger(clients.dynamodb(), TABLE)
    frames = load_frames(S3Source(BUCKET, ledger=ledger), DAYS[1], DAYS[3], ledger=ledger)
    assert list(frames.pairs["verdict"]) == ["MATCHED", "DIVERGED", "MATCHED"]
    assert list(frames.ledger["conserved"]) == [True, True, True]
    assert [stamp.date() for stamp in frames.pairs["trading_day"]] == list(DAYS[1:4])
    assert len(frames.pairs) == 3


@pytest.mark.usefixtures("cloud")
def test_a_bucket_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(UnreachableSource, match=r"s3://nowhere.*NoSuchBucket"):
        load_frames(S3Source("nowhere"), DAYS[0], DAYS[1])
    with pytest.raises(UnreachableSource, match="to be written"):
        S3Archive(clients.s3(), "nowhere", "us-east-1").keep(DAYS[0], "page", "{}")


@pytest.mark.usefixtures("cloud")
def test_the_mailer_gives_the_message_id() -> None:
    message = EmailMessage()
    message["From"], message["To"] = SENDER, "desk@example.com"
    message.set_content("x")
    assert SesMailer(clients.ses()).send(message, ["desk@example.com"])


@pytest.mark.usefixtures("cloud")
def test_without_a_day_it_reports_today_in_new_york() -> None:
    answer = function.lambda_handler({}, None)
    today = datetime.now(UTC).date()
    assert abs((date.fromisoformat(str(answer["day"])) - today).days) <= 1
