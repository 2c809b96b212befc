"""Business Unit: tests | Status: current.

The replay gate: what a recording answers, what it makes of a played plan, and that nothing passes that was not judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from local.broker_simulator.api import Request
from local.broker_simulator.simulator import Simulator
from local.replay_gate import tape_of, unanswered, version_at
from shadow.cli import replaying
from shadow.cli.output import BadInput
from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Attribution, Comparison, Severity, Verdict
from shadow.contracts.identity import run_id_of
from shadow.contracts.outcome import Gap, Intent
from shadow.contracts.vocabulary import Lane, Origin, Reason, Role, RunStatus, TradeStatus
from shadow.replay.gate import GateReport, GateWord, Played, RecordedQuote, Recording, Unanswered, gate, gated, recording_of
from shadow.replay.ports import Replayed, ReplayEnd, archived_under, replayed_plan
from tests.factories.comparisons import (
    comparison_of,
    difference,
    diverged,
    in_extended_notation,
    outcome_of,
    with_trade,
    write_jsonl,
)
from tests.fakes.cli_cloud import shadow

DAY = date(2026, 11, 24)
BASE = comparison_of(DAY, trades=4)


def recording(comparison: Comparison = BASE) -> Recording:
    found = recording_of(comparison)
    assert found is not None
    return found


def with_control(index: int, **changes: object) -> Comparison:
    assert BASE.control is not None
    return BASE.model_copy(update={"control": with_trade(BASE.control, index, **changes)})


def played(comparison: Comparison | None = BASE, *, of: Recording | None = None, missing: Sequence[Unanswered] = ()) -> Played:
    end = ReplayEnd.JUDGED if comparison is not None else ReplayEnd.WAITING
    replayed = Replayed(BASE.plan_id, f"{BASE.plan_id}~replay-gate-1", end, reason="" if comparison else "too slow")
    return Played(of or recording(), replayed, comparison, tuple(missing))


class TestRecording:
    def test_each_symbol_has_the_quote_that_production_decided_on(self) -> None:
        assert BASE.control is not None
        trade = BASE.control.trades[0]
        assert trade.intent is not None

        quotes = recording().quotes

        assert quotes[trade.symbol] == RecordedQuote(trade.intent.bid or Decimal(0), trade.intent.ask or Decimal(0))
        assert set(quotes) == {item.symbol for item in BASE.plan.tradable_items}

    def test_where_production_kept_none_the_other_lane_s_is_taken_then_the_bare_price(self) -> None:
        bare = Intent(decision_price=Decimal(7))
        comparison = with_control(0, intent=bare)
        assert comparison.candidate is not None
        symbol, other = comparison.candidate.trades[0].symbol, comparison.candidate.trades[0].intent
        assert other is not None

        assert recording(comparison).quotes[symbol].bid == other.bid
        blind = comparison.model_copy(update={"candidate": with_trade(comparison.candidate, 0, intent=None)})
        assert recording(blind).quotes[symbol] == RecordedQuote(Decimal(7), Decimal(7))

    @pytest.mark.parametrize("roles", [(), (Role.CONTROL,), (Role.CANDIDATE,), tuple(Role)])
    def test_a_symbol_is_recorded_as_the_broker_is_asked_for_it_whichever_notation_plan_and_lanes_have(
        self, roles: tuple[Role, ...]
    ) -> None:
        found, plain = recording(in_extended_notation(BASE, *roles)), recording()

        assert (found.quotes, found.whole_shares, found.no_quote) == (plain.quotes, plain.whole_shares, plain.no_quote)
        assert all(found.knows(item.symbol) for item in BASE.plan.tradable_items)

    def test_a_market_that_closed_for_one_of_two_trades_of_a_symbol_was_closed(self) -> None:
        assert BASE.control is not None
        first = BASE.control.trades[0]
        closed = first.model_copy(update={"trade_id": "0", "status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED})
        twice = BASE.control.model_copy(update={"trades": (closed, *BASE.control.trades)})

        assert not recording(BASE.model_copy(update={"control": twice})).is_open

    @pytest.mark.parametrize(
        "comparison",
        [
            BASE.model_copy(update={"origin": Origin.REPLAY.value}),
            BASE.model_copy(update={"origin": Origin.PLANTED.value}),
            BASE.model_copy(update={"control": None}),
        ],
    )
    def test_what_was_no_live_run_of_production_is_no_recording(self, comparison: Comparison) -> None:
        assert recording_of(comparison) is None

    @pytest.mark.parametrize(
        "reason", [Reason.BROKER_REJECTED, Reason.BROKER_UNAVAILABLE, Reason.PARTIAL_FILL, Reason.NOT_FILLED, Reason.OTHER]
    )
    def test_what_only_the_broker_decided_is_not_answered(self, reason: Reason) -> None:
        found = recording(with_control(1, status=TradeStatus.FAILED, reason=reason))

        assert [entry.symbol for entry in found.unanswered] == [found.production.trades[1].symbol]

    @pytest.mark.parametrize("status", [TradeStatus.UNKNOWN, TradeStatus.UNFINISHED])
    def test_a_trade_of_unknown_fate_is_not_answered(self, status: TradeStatus) -> None:
        assert len(recording(with_control(1, status=status)).unanswered) == 1

    @pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.ABORTED, RunStatus.UNFINISHED])
    def test_a_run_that_ended_from_outside_is_not_answered(self, status: RunStatus) -> None:
        assert BASE.control is not None
        ended = BASE.model_copy(update={"control": BASE.control.model_copy(update={"status": status})})

        assert [entry.symbol for entry in recording(ended).unanswered] == [None]

    def test_a_gap_in_production_s_record_is_not_answered(self) -> None:
        assert BASE.control is not None
        torn = BASE.control.model_copy(update={"gaps": (Gap(what="items", reason="expired"),)})

        assert "expired" in str(recording(BASE.model_copy(update={"control": torn})).unanswered[0])

    def test_a_closed_market_and_a_missing_quote_are_answers(self) -> None:
        assert BASE.control is not None
        closed = BASE.control
        for index in range(len(closed.trades)):
            closed = with_trade(closed, index, status=TradeStatus.SKIPPED, reason=Reason.MARKET_CLOSED)
        blind = recording(with_control(1, status=TradeStatus.FAILED, reason=Reason.NO_QUOTE, intent=None))

        assert not recording(BASE.model_copy(update={"control": closed})).is_open
        assert blind.knows(blind.production.trades[1].symbol)
        assert not blind.unanswered

    def test_a_market_that_closed_half_way_is_not_answered(self) -> None:
        found = recording(with_control(1, status=TradeStatus.SKIPPED, reason=Reason.MARKET_CLOSED))

        assert [entry.symbol for entry in found.unanswered] == [None]


class TestArchivedUnderAReplay:
    def test_ids_that_follow_from_the_plan_s_follow_it_and_minted_ones_stay(self) -> None:
        plan = replayed_plan(BASE.plan, "gate-1")
        own = outcome_of(BASE.plan, Role.CANDIDATE).model_copy(update={"role": Role.CONTROL})
        expected = outcome_of(plan, Role.CANDIDATE)
        minted = outcome_of(BASE.plan, Role.CONTROL).model_copy(update={"run_id": "minted"})

        found, kept = archived_under(own, plan), archived_under(minted, plan)

        assert (found.run_id, found.plan_id) == (run_id_of(plan.plan_id), plan.plan_id)
        assert [trade.trade_id for trade in found.trades] == [trade.trade_id for trade in expected.trades]
        assert [effect.trade_id for effect in found.effects or ()] == [trade.trade_id for trade in expected.trades]
        assert (kept.run_id, [trade.trade_id for trade in kept.trades]) == ("minted", [t.trade_id for t in minted.trades])

    def test_a_wrong_id_stays_wrong(self) -> None:
        own = with_trade(outcome_of(BASE.plan, Role.CANDIDATE), 0, trade_id="wrong")

        assert archived_under(own, replayed_plan(BASE.plan, "gate-1")).trades[0].trade_id == "wrong"


class TestGate:
    def test_an_equal_outcome_passes(self) -> None:
        found = gated(played())

        assert (found.word, found.lines) == (GateWord.PASSED, ())

    @pytest.mark.parametrize("attribution", [Attribution.CANDIDATE, Attribution.NEITHER])
    def test_a_difference_that_is_not_production_s_refuses(self, attribution: Attribution) -> None:
        found = gated(played(diverged(BASE, difference(BASE, attribution=attribution))))

        assert found.word is GateWord.REFUSED
        assert "ORDER_QUANTITY" in found.lines[0]

    def test_a_difference_that_production_made_is_told_and_refuses_nothing(self) -> None:
        found = gated(played(diverged(BASE, difference(BASE, attribution=Attribution.CONTROL))))

        assert found.word is GateWord.PASSED
        assert len(found.production_departs) == 1

    @pytest.mark.parametrize("changes", [{"covered_by": "KD-1"}, {"severity": Severity.INFO}, {"caused_by": "another"}])
    def test_what_is_registered_or_follows_from_another_refuses_nothing(self, changes: dict[str, object]) -> None:
        assert gated(played(diverged(BASE, difference(BASE, **changes)))).word is GateWord.PASSED

    def test_what_was_not_judged_never_passes(self) -> None:
        assert gated(played(None)).word is GateWord.INCONCLUSIVE
        assert gate("v", []).word is GateWord.INCONCLUSIVE

    def test_a_gap_never_passes(self) -> None:
        torn = BASE.model_copy(update={"gaps": ("candidate: history: truncated",), "verdict": Verdict.INCOMPLETE})

        assert gated(played(torn)).word is GateWord.INCONCLUSIVE

    @pytest.mark.parametrize("verdict", [Verdict.PENDING, Verdict.INCOMPLETE, Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE])
    def test_a_verdict_that_says_nothing_never_passes(self, verdict: Verdict) -> None:
        assert gated(played(BASE.model_copy(update={"verdict": verdict}))).word is GateWord.INCONCLUSIVE

    def test_what_the_recording_could_not_answer_never_passes(self) -> None:
        symbol = BASE.plan.tradable_items[0].symbol

        assert gated(played(missing=[Unanswered(symbol, "no quote")])).word is GateWord.INCONCLUSIVE

    def test_a_difference_that_may_follow_from_an_unanswered_request_accuses_nobody(self) -> None:
        wrong = diverged(BASE, difference(BASE, 0))
        symbol = wrong.differences[0].symbol

        assert gated(played(wrong, missing=[Unanswered(symbol, "no quote")])).word is GateWord.INCONCLUSIVE
        assert gated(played(wrong, missing=[Unanswered(f"EQUITIES::{symbol}//USD", "no quote")])).word is GateWord.INCONCLUSIVE
        assert gated(played(wrong, missing=[Unanswered("OTHER", "no quote")])).word is GateWord.REFUSED
        assert gated(played(wrong, missing=[Unanswered(None, "account")])).word is GateWord.INCONCLUSIVE

    def test_one_refused_plan_refuses_the_version(self) -> None:
        plans = [played(), played(None), played(diverged(BASE))]

        assert gate("v", plans).word is GateWord.REFUSED
        assert gate("v", plans[:2]).word is GateWord.INCONCLUSIVE
        assert gate("v", plans[:1]).word is GateWord.PASSED


class TestWhatIsWritten:
    HOSTILE = "a|b`c</td>\n| x | \x1b[31m & \ud800 <!--"

    def report(self) -> GateReport:
        bad = diverged(BASE, difference(BASE, explanation=self.HOSTILE))
        return gate(self.HOSTILE, [played(), played(None), played(bad)])

    def test_a_build_server_reads_it(self) -> None:
        suite = ET.fromstring(self.report().junit())  # noqa: S314 - written here

        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
        assert [child.tag for case in suite for child in case] == ["error", "failure"]

    def test_a_gate_without_a_plan_is_an_error_to_a_build_server(self) -> None:
        suite = ET.fromstring(gate("v", []).junit())  # noqa: S314

        assert (suite.get("tests"), suite.get("errors")) == ("1", "1")

    def test_a_table_keeps_its_cells_whatever_a_text_holds(self) -> None:
        lines = self.report().markdown().splitlines()
        rows = [line.replace("\\|", "") for line in lines if line.startswith("|")]

        assert len(rows) == 2 + 3
        assert {row.count("|") for row in rows} == {5}
        assert "<!--" not in "".join(lines)
        "".join(lines).encode()


class TestTape:
    """What the broker shows is what was recorded, and everything else that is asked is noticed."""

    @pytest.fixture
    def simulator(self) -> Simulator:
        simulator = Simulator()
        simulator.apply(tape_of(changed(recording(), whole_shares=frozenset({BASE.plan.tradable_items[0].symbol}))))
        return simulator

    def ask(self, simulator: Simulator, path: str, method: str = "GET", **query: str) -> object:
        account = {"apca-api-key-id": "candidate-key", "apca-api-secret-key": "candidate-secret"}
        simulator.set_identity(Role.CANDIDATE, key="candidate-key", secret="candidate-secret")
        return simulator.handle(Request(method, path, query, account)).answer.body

    def test_every_quote_is_the_recorded_one(self, simulator: Simulator) -> None:
        for symbol, quote in recording().quotes.items():
            body = self.ask(simulator, "/v2/stocks/quotes/latest", symbols=symbol)
            assert isinstance(body, dict)
            shown = body["quotes"][symbol]
            assert (Decimal(str(shown["bp"])), Decimal(str(shown["ap"]))) == (quote.bid, quote.ask)
        assert list(unanswered(simulator.requests(), recording())) == []

    def test_whole_shares_are_recorded_too(self, simulator: Simulator) -> None:
        first, second = (item.symbol for item in BASE.plan.tradable_items[:2])
        bodies = [self.ask(simulator, f"/v2/assets/{symbol}") for symbol in (first, second)]

        assert [body["fractionable"] for body in bodies if isinstance(body, dict)] == [False, True]

    @pytest.mark.parametrize(
        ("path", "method", "query"),
        [
            ("/v2/stocks/quotes/latest", "GET", {"symbols": "NEVER"}),
            ("/v2/assets/NEVER", "GET", {}),
            ("/v2/positions/SYM0000", "GET", {}),
            ("/v2/account", "GET", {}),
            ("/v2/orders", "GET", {}),
            ("/v2/orders", "POST", {}),
            ("/v1beta3/crypto/us/latest/quotes", "GET", {"symbols": "BTC/USD"}),
        ],
    )
    def test_whatever_is_not_recorded_is_noticed(
        self, path: str, method: str, query: dict[str, str], simulator: Simulator
    ) -> None:
        self.ask(simulator, path, method, **query)

        assert len(list(unanswered(simulator.requests(), recording()))) == 1

    def test_the_next_day_shows_nothing_of_the_last_tape(self, simulator: Simulator) -> None:
        simulator.apply(tape_of(changed(recording(), quotes={})))

        body = self.ask(simulator, "/v2/stocks/quotes/latest", symbols="SYM0000")

        assert body == {"quotes": {}}


@dataclass
class Version:
    """An engine in this process: a version that executes each plan as production did, or whatever `wrong` makes of it."""

    wrong: Callable[[Comparison], Comparison] = lambda comparison: comparison
    asked: list[list[str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def play(self, recordings: Sequence[Recording]) -> Iterator[Played]:
        self.asked.append([entry.plan.plan_id for entry in recordings])
        for entry in recordings:
            plan = replayed_plan(entry.plan, f"gate-{len(self.asked)}")
            case = PairCase(
                plan=plan,
                trading_day=entry.trading_day,
                published_at=plan.timestamp,
                control=archived_under(entry.production, plan),
                candidate=outcome_of(plan, Role.CANDIDATE),
                code_version="",
            )
            comparison = self.wrong(judge(case, default_policy()).model_copy(update={"gaps": ()}))
            yield Played(entry, Replayed(entry.plan.plan_id, plan.plan_id, ReplayEnd.JUDGED), comparison)

    @contextmanager
    def open(self, version: str, policy: Policy, progress: Callable[[str], None]) -> Iterator[Version]:
        assert policy == default_policy()
        progress("opening")
        self.names.append(version)
        yield self


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Version:
    made = Version(lambda comparison: comparison.model_copy(update={"differences": (), "verdict": Verdict.MATCHED}))
    monkeypatch.setattr(replaying, "open_engine", made.open)
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(date(2026, 11, day), trades=4) for day in (17, 18, 19, 20)])
    return made


class TestCommand:
    def test_the_last_days_are_run_and_a_version_that_does_the_same_passes(self, version: Version, tmp_path: Path) -> None:
        result = shadow("replay", "--gate", "--last", "2-days", "--candidate", "v3", "--folder", ".", "--junit", "out/gate.xml")

        assert (result.exit_code, version.names) == (0, ["v3"])
        assert "PASSED  v3  2 plans: 2 PASSED" in result.stdout
        assert [len(plans) for plans in version.asked] == [2]
        assert 'errors="0"' in (tmp_path / "out" / "gate.xml").read_text()

    def test_a_version_that_differs_is_refused_and_the_table_says_by_what(self, version: Version, tmp_path: Path) -> None:
        version.wrong = diverged

        result = shadow("replay", "--gate", "--folder", ".", "--markdown", "gate.md", "--json")
        answer = json.loads(result.stdout)

        assert (result.exit_code, answer["result"], answer["counts"]) == (1, "REFUSED", {"REFUSED": 4})
        assert answer["plans"][0]["differences"][0]["kind"] == "ORDER_QUANTITY"
        assert "ORDER_QUANTITY" in (tmp_path / "gate.md").read_text()

    def test_what_is_inconclusive_ends_as_a_failure(self, version: Version) -> None:
        version.wrong = lambda comparison: comparison.model_copy(update={"gaps": ("torn",), "verdict": Verdict.INCOMPLETE})

        assert shadow("replay", "--gate", "--folder", ".").exit_code == 1

    def test_against_itself_each_plan_is_run_twice_and_compared_with_its_own_first_run(self, version: Version) -> None:
        seen: list[Comparison] = []

        def remember(comparison: Comparison) -> Comparison:
            seen.append(comparison)
            return comparison.model_copy(update={"differences": (), "verdict": Verdict.MATCHED})

        version.wrong = remember
        result = shadow("replay", "--gate", "--against-itself", "--folder", ".")

        assert result.exit_code == 0
        assert [len(plans) for plans in version.asked] == [4, 4]
        second = seen[4]
        assert second.control is not None
        assert second.candidate is not None
        assert (second.control.lane, second.control.run_id) == (Lane.WORKFLOW, second.candidate.run_id)
        assert [t.trade_id for t in second.control.trades] == [t.trade_id for t in second.candidate.trades]

    @pytest.mark.parametrize(
        "arguments",
        [("--last", "0-days"), ("--last", "five"), ("--last", "5"), ("--folder", "nowhere"), ("--policy", "none.toml")],
    )
    def test_what_makes_no_sense_is_bad_input(self, arguments: tuple[str, ...], version: Version) -> None:
        assert shadow("replay", "--gate", "--folder", ".", *arguments).exit_code == 2
        assert version.names == []

    def test_an_archive_of_replays_only_has_nothing_to_gate_by(self, version: Version, tmp_path: Path) -> None:
        write_jsonl(tmp_path / "comparisons.jsonl", [comparison_of(DAY, trades=2, origin="replay")])

        assert shadow("replay", "--gate", "--folder", ".").exit_code == 2
        assert version.names == []


class TestVersions:
    def test_a_folder_with_a_template_is_a_version(self, tmp_path: Path) -> None:
        (tmp_path / "template.yaml").write_text("")

        assert version_at(str(tmp_path)) == tmp_path

    @pytest.mark.parametrize("name", [".", "no-such-revision", "--output=x"])
    def test_what_is_neither_a_checkout_nor_a_revision_is_refused(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        with pytest.raises(BadInput, match="--candidate"):
            version_at(name)
