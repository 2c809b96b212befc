"""Business Unit: local cloud | Status: current.

The commands that bring the system up on this machine: `shadow up`, `shadow down`, `shadow demo`, `shadow chaos`; and
`shadow example`, which gives a plan to publish there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shadow.cli.output import ERR, OUT, ExitCode, escape, fail, print_json
from shadow.cli.target import JsonOption

if TYPE_CHECKING:
    from local.scenarios.demo import DemoDay

LOCAL_FOLDER = Path("build/local")
DEMO_FOLDER = Path("build/demo")
EXAMPLE = Path(__file__).parent / "data" / "example_plan.json"
"""What `shadow example` prints of the prices that come with the project; a test holds it against them."""
PricesOption = Annotated[
    Path | None,
    typer.Option("--prices", help="Closing prices as CSV: date,symbol,close.", metavar="FILE", exists=True, dir_okay=False),
]
OutOption = Annotated[Path, typer.Option("--out", help="Where to leave everything.", metavar="FOLDER")]


def up(*, prices: PricesOption = None, as_json: JsonOption = False) -> None:
    """Start a local cloud with the template deployed.

    It runs until `shadow down`.

    Its broker simulator quotes the newest day of the closing prices, and both accounts hold 100,000 USD in cash.

    For example:

      shadow up

      shadow up --prices my-closes.csv

      shadow up --json | jq .endpoint
    """
    from local.cloud.errors import LocalCloudError
    from local.scenarios.demo import FIRST_CASH
    from local.stack import bring_up, take_down
    from shadow.cli.target import other_folders, remember_folder
    from shadow.contracts.vocabulary import Role

    market = _newest_day(prices, as_json=as_json)
    others = [str(folder) for folder in other_folders() if folder != LOCAL_FOLDER.absolute()]
    try:
        stack = bring_up(LOCAL_FOLDER, stay=True, progress=_silent if as_json else _say)
    except LocalCloudError as error:
        fail(ExitCode.UNAVAILABLE, str(error), as_json=as_json)
    try:
        stack.broker.set_day(market.day, market.closes, half_day=market.half_day)
        for account in Role:
            stack.broker.set_account(account, cash=FIRST_CASH)
        remember_folder(LOCAL_FOLDER)
    except BaseException:  # interrupted: nothing may stay behind
        take_down(LOCAL_FOLDER)
        raise
    if as_json:
        outputs = dict(stack.deployment.outputs)
        print_json(
            {"endpoint": stack.emulator.endpoint, "broker": stack.broker_url, "day": market.day.isoformat(), "outputs": outputs}
        )
        return
    OUT.print(f"[green]up[/green]   cloud  {stack.emulator.endpoint}   (log: {escape(stack.emulator.log)})")
    OUT.print(f"     broker {stack.broker_url}   closing prices of {market.day}; each account holds {FIRST_CASH:,} USD")
    OUT.print("     next: [bold]shadow example > plan.json[/bold], then [bold]shadow publish plan.json[/bold]")
    OUT.print("     shadow publish, status, compare and explain talk to it, from any folder; [bold]shadow down[/bold] ends it")
    if others:
        where = escape(", ".join(others))
        OUT.print(
            f"     beside it runs the local cloud of {where}: commands below its own folder talk to that one", soft_wrap=True
        )


def example(*, prices: PricesOption = None, as_json: JsonOption = False) -> None:
    """Print a rebalance plan to publish.

    It is for the newest day of the closing prices and an account with 100,000 USD in cash.

    For example:

      shadow example > plan.json

      shadow example --prices my-closes.csv > plan.json
    """
    if prices is None:
        print_json(json.loads(EXAMPLE.read_text(encoding="utf-8")))
        return

    from local.planner import Portfolio
    from local.scenarios.demo import FIRST_CASH

    print_json(_newest_day(prices, as_json=as_json).plan(Portfolio({}, FIRST_CASH)).to_wire())


def _newest_day(prices: Path | None, *, as_json: bool) -> DemoDay:
    """Give the newest day of the closing prices, or end the command with exit code 2 and what is wrong with them."""
    from local.market import ClosingPrices, InvalidPrices
    from local.scenarios.demo import TooFewDays, demo_days

    try:
        return next(demo_days(ClosingPrices.read(prices) if prices else ClosingPrices.bundled(), count=1))
    except (InvalidPrices, TooFewDays) as invalid:
        fail(ExitCode.BAD_INPUT, str(invalid), as_json=as_json)


def down(*, as_json: JsonOption = False) -> None:
    """End the local cloud that `shadow up` left running.

    For example:

      shadow down
    """
    from local.stack import take_down
    from shadow.cli.target import local_folder

    folder = local_folder() or LOCAL_FOLDER
    ended = take_down(folder)
    if as_json:
        print_json({"ended": ended})
    else:
        OUT.print(f"[green]down[/green] ({escape(str(folder))})" if ended else "nothing was running", soft_wrap=True)


def demo(*, prices: PricesOption = None, out: OutOption = DEMO_FOLDER, as_json: JsonOption = False) -> None:
    """Run ten trading days through both lanes, and compare.

    They have real closing prices and planted differences, all of which must be found.

    For example:

      shadow demo

      shadow demo --prices my-closes.csv --json | jq .found

    Ends with 1 when a planted difference was missed or one was invented.
    """
    from local.cloud.errors import LocalCloudError
    from local.demo.run import run_demo
    from local.demo.screen import show_demo
    from local.market import ClosingPrices, InvalidPrices

    try:
        closes = ClosingPrices.read(prices) if prices else ClosingPrices.bundled()
    except InvalidPrices as invalid:
        fail(ExitCode.BAD_INPUT, str(invalid), as_json=as_json)
    shutil.rmtree(out, ignore_errors=True)
    try:
        result = run_demo(closes, out, progress=_silent if as_json else _say)
    except LocalCloudError as error:
        fail(ExitCode.UNAVAILABLE, str(error), as_json=as_json)
    if as_json:
        print_json(result.to_wire())
    else:
        show_demo(result, out)
    if not result.is_right:
        raise typer.Exit(int(ExitCode.DIVERGED))


def _say(message: str) -> None:
    ERR.print(f"[dim]{escape(message)}[/dim]")


def _silent(message: str) -> None:
    del message
