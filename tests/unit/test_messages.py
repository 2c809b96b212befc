"""Business Unit: tests | Status: current.

A critical difference and a broken sum are told at once, with plan, trade, dollars, one sentence and a link; and nothing that goes
wrong with the telling reaches the comparator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.aws import clients
from shadow.aws.notifier import Webhook, WebhookChannel, body_of, read_webhook
from shadow.contracts.comparison import Comparison, Impact, Severity
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.vocabulary import Metric, Origin
from shadow.settlement.composition import _TELLING, ComparatorEnvironment, teller_from
from shadow.settlement.conservation import Conservation
from shadow.settlement.messages import TITLE, Teller
from shadow.settlement.settler import Settler
from tests.factories.cloud_tables import fresh_aws
from tests.factories.comparisons import comparison_of, difference, diverged
from tests.fakes.evidence import settler_of
from tests.unit.test_settlement import PLAN, SOON, candidate, control, world_of

DAY = date(2026, 11, 24)
DEAR = Impact(notional=Decimal("1234.50"), cash=Decimal("-1234.50"), gross=Decimal("1234.50"))


@dataclass
class People:
    """Who is told: what arrives, what is logged, what is counted; a channel that fails says nothing."""

    told: list[tuple[str, str]] = field(default_factory=list)
    logged: list[Mapping[str, str]] = field(default_factory=list)
    counted: list[Mapping[Metric, float]] = field(default_factory=list)
    failing: tuple[str, ...] = ()

    def emit(self, values: Mapping[Metric, float]) -> None:
        self.counted.append(values)

    def log(self, message: str, fields: Mapping[str, str], *, problem: bool) -> None:
        assert problem, message
        self.logged.append(fields)

    def channel(self, name: str) -> object:
        def send(title: str, text: str) -> None:
            if name in self.failing:
                raise OSError(f"https://hooks.example/secret refused {title}")
            self.told.append((title, text))

        return send

    def teller(self, *names: str) -> Teller:
        channels = {name: self.channel(name) for name in names or ("mail",)}
        return Teller(channels, self, "prod", lambda key: f"https://console.example/{key}")  # type: ignore[arg-type]


def critical(**changes: object) -> Comparison:
    pair = comparison_of(DAY, trades=4)
    worst = difference(
        pair, 0, kind="DOUBLE_ORDER", severity=Severity.CRITICAL, impact=DEAR, explanation="Two orders are at work."
    )
    return diverged(pair, difference(pair, 1), worst).model_copy(update=changes)


def test_a_critical_difference_is_told_with_plan_trade_dollars_sentence_command_and_link() -> None:
    people, pair = People(), critical()
    people.teller().verdict(pair, "comparisons/one.json")

    [(title, text)] = people.told
    assert title == "[prod] CRITICAL 1,234.50 USD: SELL SYM0000 DOUBLE_ORDER"
    assert f"Plan {pair.plan_id} of 2026-11-24." in text
    assert (
        "SELL SYM0000, DOUBLE_ORDER: Two orders are at work. Worth 1,234.50 USD; the candidate (workflow) departs from the plan."
        in text
    )
    assert f"shadow explain {pair.plan_id}" in text
    assert text.endswith("https://console.example/comparisons/one.json")
    assert "ORDER_QUANTITY" not in text


def test_many_are_one_message_that_counts_the_rest() -> None:
    people, pair = People(), comparison_of(DAY, trades=12)
    people.teller().verdict(diverged(pair, *(difference(pair, n, severity=Severity.CRITICAL) for n in range(9))), "k")

    [(title, text)] = people.told
    assert title.endswith("and 8 more")
    assert "and 4 more critical differences" in text


@pytest.mark.parametrize(("count", "title_ends"), [(1, "ORDER_QUANTITY"), (2, "and 1 more"), (5, "and 4 more")])
def test_five_are_named_the_dearest_first_and_no_rest_is_counted_where_there_is_none(count: int, title_ends: str) -> None:
    people, pair = People(), comparison_of(DAY, trades=12)
    found = [
        difference(pair, n, severity=Severity.CRITICAL, impact=Impact(notional=Decimal(n), cash=Decimal(n), gross=Decimal(n)))
        for n in range(count)
    ]
    people.teller().verdict(diverged(pair, *found), "k")

    [(title, text)] = people.told
    assert title.endswith(title_ends)
    assert f"CRITICAL {sum(range(count))}.00 USD: {found[-1].action} {found[-1].symbol} " in title
    assert (len(text.splitlines()), "more critical" in text) == (6 + count, False)


def test_a_long_title_has_99_characters() -> None:
    people, pair = People(), comparison_of(DAY, trades=4)
    people.teller().verdict(diverged(pair, difference(pair, severity=Severity.CRITICAL, symbol="S" * 200)), "k")
    assert len(people.told[0][0]) == 99


@pytest.mark.parametrize("origin", [Origin.REPLAY, Origin.PLANTED])
def test_nobody_is_woken_by_a_replay_a_planted_run_a_known_divergence_or_a_lesser_difference(origin: Origin) -> None:
    people, pair = People(), comparison_of(DAY, trades=4)
    known = difference(pair, severity=Severity.CRITICAL, covered_by="KD-1")
    for quiet in (critical(origin=origin.value), diverged(pair), diverged(pair, known), pair):
        people.teller().verdict(quiet, "k")
    assert not people.told


def test_a_channel_that_fails_is_counted_and_logged_without_its_words_and_the_next_is_told() -> None:
    people = People(failing=("webhook",))
    people.teller("webhook", "mail").verdict(critical(), "k")

    assert len(people.told) == 1
    assert people.counted == [{Metric.NOTIFICATION_FAILURES: 1.0}]
    assert people.logged[0]["channel"] == "webhook"
    assert "hooks.example" not in json.dumps(people.logged)


def test_a_broken_sum_is_told_once_again_when_it_changes_and_again_after_it_was_whole() -> None:
    people = People()
    teller, broken = people.teller(), Conservation(DAY, Origin.LIVE, published=3, matched=2)
    for days in ([broken], [broken], [Conservation(DAY, Origin.LIVE, published=4, matched=2)], [], [broken]):
        teller.sums(days)

    assert [title for title, _text in people.told] == [
        "[prod] 1 pair unaccounted for",
        "[prod] 2 pairs unaccounted for",
        "[prod] 1 pair unaccounted for",
    ]
    assert "published 3 ≠ matched 2" in people.told[0][1]
    assert "shadow status --date 2026-11-24" in people.told[0][1]


@given(st.text(max_size=300))
def test_a_title_is_one_that_every_channel_takes_and_no_line_is_forged(text: str) -> None:
    people, pair = People(), comparison_of(DAY, trades=4)
    told = difference(pair, severity=Severity.CRITICAL, symbol=text, explanation=text)
    people.teller().verdict(diverged(pair, told), "k")

    [(title, body)] = people.told
    assert title.isascii()
    assert title.isprintable()
    assert len(title) <= TITLE
    assert len(body.splitlines()) == 7


def test_settlement_tells_a_verdict_once_and_survives_what_telling_does() -> None:
    world, heard = world_of(), []
    control(world)
    candidate(world)
    settler = telling(settler_of(world), heard)

    assert settler.settle(PLAN.plan_id, SOON).judged
    assert not settler.settle(PLAN.plan_id, SOON).judged
    assert heard == [world.pairs[PLAN.plan_id].comparison_key]


def telling(settler: Settler, heard: list[str]) -> Settler:
    return Settler(replace(settler._parts, tell=lambda _comparison, key: heard.append(key)))


@pytest.mark.parametrize("url", ["http://a.example/x", "ftp://a.example", "https://", "https://me@a.example/", "hooks"])
def test_a_webhook_is_https_or_none(url: str) -> None:
    posted: list[str] = []
    channel = WebhookChannel(lambda: Webhook(url=url, format="slack"), lambda to, _body: posted.append(to) or 200)  # type: ignore[func-returns-value]
    with pytest.raises(ConfigurationError) as refused:
        channel.send("title", "text")
    assert not posted
    assert url not in str(refused.value) or url in ("https://", "hooks")


@pytest.mark.parametrize("status", [199, 301, 400, 500])
def test_an_answer_that_is_no_success_is_a_failure(status: int) -> None:
    channel = WebhookChannel(lambda: Webhook(url="https://hooks.example/x", format="slack"), lambda _to, _body: status)
    with pytest.raises(OSError, match=f"was status {status}"):
        channel.send("title", "text")


def test_each_format_holds_the_words_and_no_markup_of_a_lane() -> None:
    text = "one\n<!channel> [click](https://evil.example) *bold*\nthree"
    slack, teams = body_of("slack", "a <!channel> b", text), body_of("teams", "a", text)

    assert slack["text"] == "a &lt;!channel&gt; b"
    assert {block["text"]["type"] for block in slack["blocks"]} == {"plain_text"}  # type: ignore[attr-defined]
    card = teams["attachments"][0]["content"]  # type: ignore[index]
    assert card["type"] == "AdaptiveCard"
    assert [line["inlines"][0]["text"] for line in card["body"]] == text.split("\n")
    assert {line["type"] for line in card["body"]} == {"RichTextBlock"}


@pytest.mark.parametrize("value", ["", "{}", '{"url": "https://a.example/x"}', '{"url": "https://a.example/x", "format": "irc"}'])
def test_a_secret_of_another_shape_is_refused_without_showing_it(value: str) -> None:
    client = SimpleNamespace(get_secret_value=lambda **_: {"SecretString": value})
    with pytest.raises(ConfigurationError) as refused:
        read_webhook(client, "shadow/webhook")  # type: ignore[arg-type]
    assert "secret shadow/webhook: expected" in str(refused.value)
    assert "a.example" not in str(refused.value)


def test_the_comparator_is_put_together_with_the_channels_that_are_named() -> None:
    needed = dict.fromkeys(
        ("pair_ledger_table_name", "execution_runs_table_name", "evidence_bucket_name", "state_machine_arn"), "x"
    )
    people = People()
    with fresh_aws():
        topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
        environment = ComparatorEnvironment(**needed, alert_topic_arn=topic, aws_region="us-east-1")
        teller = teller_from(environment, people)
        teller.verdict(critical(), "comparisons/a b.json")
        assert list(teller.channels) == ["mail"]
        assert teller.link("a b") == "https://us-east-1.console.aws.amazon.com/s3/object/x?region=us-east-1&prefix=a%20b"
        both = teller_from(environment.model_copy(update={"alert_webhook_secret_id": "hook"}), people)
        assert list(both.channels) == ["mail", "webhook"]
        limits = clients.sns(_TELLING).meta.config
        assert (limits.connect_timeout, limits.read_timeout, limits.retries["total_max_attempts"]) == (2.0, 3.0, 2)
    assert not people.logged
