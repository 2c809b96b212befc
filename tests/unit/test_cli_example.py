"""Business Unit: tests | Status: current.

`shadow example` prints a plan that `shadow publish` takes as it is, made of the newest closing prices; a file of prices that
cannot be used ends in exit code 2 with a sentence, and prints no plan.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from local.cli import EXAMPLE
from local.market import ClosingPrices
from shadow.cli.main import app
from shadow.cli.publishing import read_plan
from shadow.contracts.vocabulary import Action


def example(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["example", *arguments], catch_exceptions=False)


def test_the_plan_it_prints_is_one_that_publish_takes(tmp_path: Path) -> None:
    answer = example()
    assert answer.exit_code == 0
    file = tmp_path / "plan.json"
    file.write_text(answer.stdout, encoding="utf-8")
    plan = read_plan(file, as_json=False)
    assert plan.timestamp.date() == ClosingPrices.bundled().days[-1]
    assert plan.total_portfolio_value == Decimal(100_000)
    assert plan.tradable_items
    assert {item.action for item in plan.tradable_items} == {Action.BUY}, "the account holds cash alone"
    assert plan.total_trade_value <= plan.total_portfolio_value


def test_the_packaged_plan_is_the_one_that_the_bundled_prices_give() -> None:
    bundled = EXAMPLE.with_name("closing_prices.csv")

    assert example().stdout == example("--prices", str(bundled)).stdout


def test_prices_that_cannot_be_used_end_in_a_sentence(tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("date,symbol,close\n2022-12-15,AAPL,100\n", encoding="utf-8")
    for file, said in ((tmp_path / "none.csv", "none.csv"), (few, "days")):
        answer = example("--prices", str(file))
        assert answer.exit_code == 2
        assert said in answer.stderr
        assert answer.stdout == ""
