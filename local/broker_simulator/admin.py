"""Business Unit: local cloud | Status: current.

The simulator's own API under `/_sim/`: POST a command by its name, GET a view. The server asks for its token first.
"""

from __future__ import annotations

from collections.abc import Iterable

from local.broker_simulator.accounts import SimAccount
from local.broker_simulator.api import Answer, Request, refusal
from local.broker_simulator.exchange import Exchange
from local.broker_simulator.values import (
    ClearFaults,
    Command,
    Fault,
    FillOpen,
    PlaceByHand,
    ReplaceOpen,
    Reset,
    SetAccount,
    SetAsset,
    SetClock,
    SetDay,
    SetFillRule,
    SetRateLimit,
    SetSpread,
    SetTape,
    SimulatedAccount,
    SimulatedOrder,
)
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.vocabulary import Role

PREFIX = "/_sim/"
COMMANDS: dict[str, type[Command]] = {
    "day": SetDay,
    "tape": SetTape,
    "clock": SetClock,
    "account": SetAccount,
    "asset": SetAsset,
    "spread": SetSpread,
    "fill-rule": SetFillRule,
    "rate-limit": SetRateLimit,
    "fill-open": FillOpen,
    "place-by-hand": PlaceByHand,
    "replace-open": ReplaceOpen,
    "fault": Fault,
    "clear-faults": ClearFaults,
    "reset": Reset,
}
NAMES = {command: name for name, command in COMMANDS.items()}


def read_command(request: Request) -> Command | Answer:
    """Read the command that a POST carries, or the answer that says what is wrong with it."""
    command = COMMANDS.get(request.path.removeprefix(PREFIX))
    if command is None:
        return refusal(404, 404, f"no such command, expected one of: {', '.join(COMMANDS)}")
    try:
        return command.parse_json(request.body or b"{}")
    except InvalidPayload as error:
        return refusal(422, 422, str(error))


def apply_to_exchange(exchange: Exchange, command: Command) -> None:
    """Carry out a command that concerns the exchange."""
    market = exchange.market
    match command:
        case SetDay():
            exchange.set_day(command)
        case SetTape():
            exchange.set_tape(command)
        case SetClock():
            market.set_clock(command)
            exchange.match_waiting()
        case SetAccount():
            exchange.set_account(command)
        case SetAsset():
            exchange.assets[command.symbol] = command
        case SetSpread():
            market.spreads[command.symbol] = command.bps
        case SetFillRule():
            exchange.set_fill_rule(command)
        case Fault():
            exchange.faults.add(command)
        case ClearFaults():
            exchange.faults.clear()
        case _:
            _apply_to_orders(exchange, command)


def _apply_to_orders(exchange: Exchange, command: Command) -> None:
    match command:
        case FillOpen():
            exchange.fill_open(command)
        case PlaceByHand():
            exchange.place_by_hand(command)
        case ReplaceOpen():
            exchange.replace_open(command)
        case _:
            raise TypeError(f"expected a command about the exchange, was {type(command).__name__}")


def order_views(accounts: Iterable[SimAccount]) -> list[dict[str, object]]:
    """Show every order the accounts ever accepted."""
    return [
        SimulatedOrder(
            account=account.role,
            sequence=order.sequence,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            order_type=order.order_type,
            quantity=order.quantity,
            limit_price=order.limit_price,
            status=order.status,
            filled_quantity=order.filled_quantity,
            average_price=order.average_price,
            submitted_at=order.submitted_at,
            replaced_by=order.replaced_by,
        ).to_wire()
        for account in accounts
        for order in account.orders.values()
    ]


def account_view(exchange: Exchange, role: Role) -> dict[str, object]:
    """Show one account."""
    account = exchange.accounts[role]
    return SimulatedAccount(
        account=role,
        number=account.number,
        cash=account.cash,
        equity=account.equity(exchange.mark),
        buying_power=account.buying_power(exchange.mark),
        positions={symbol: holding.quantity for symbol, holding in account.holdings.items()},
    ).to_wire()
