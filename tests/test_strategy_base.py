"""What a strategy is made of: the bare interface, hooks, parameters, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal

import pytest

from core.contracts import OrderStatus
from core.errors import ConfigError, ContractError
from strategies.base import StrategyBase
from strategies.context import StrategyContext
from strategies.indicators import Sma
from strategies.outbox import Outbox
from strategies.params import params_from
from strategies.state import PerSymbol, Stateful
from strategies.strategy import HOOKS, Strategy
from tests.strategy_desk import BTC, fill, second, trade, update
from tests.strategy_probes import Plain


def context(**config):
    """A view with nothing in it."""
    return StrategyContext("mine_v1", Outbox(), {}, {}, config)


def test_a_subclass_answers_events():
    """The bare interface is enough: a class with a name and `on_event`."""
    strategy = Plain()
    assert [(wish.side, wish.qty) for wish in strategy.on_event(trade(100))] == [("buy", 1)]


def test_on_event_is_required():
    """A strategy that answers no events cannot be made."""

    class Mute(StrategyBase):
        strategy_id = "mute"

    with pytest.raises(TypeError, match="on_event"):
        Mute()  # type: ignore[abstract]


def test_the_base_needs_no_context():
    """Importing the base loads neither the context nor anything that does input and output."""
    code = (
        "import sys, strategies.base; "
        "print([m for m in ('strategies.context', 'asyncio', 'redis', 'logging') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_event_reaches_its_hook():
    """Trades, fills, updates and seconds of the market each call the method named after them."""

    class Listener(Strategy):
        strategy_id = "listener"

        def __init__(self, view):
            super().__init__(view)
            self.heard: list[str] = []

        def on_trade(self, event):
            self.heard.append(f"trade {event.price}")

        def on_fill(self, event, view):
            self.heard.append(f"fill {event.qty} for {view.strategy_id}")

        def on_timer(self, event):
            self.heard.append("second")

    listener = Listener(context())
    intent = listener.buy(BTC, Decimal(1))
    for event in (trade(7), fill("mine_v1", "buy", "2", "7"), second(1), update(intent, OrderStatus.ACK, Decimal(0))):
        assert list(listener.on_event(event)) == []
    assert listener.heard == ["trade 7", "fill 2 for mine_v1", "second"]


def test_an_exit_may_say_that_it_only_reduces():
    """Orders are ready-made with their type and prices; only one that says so may do nothing but reduce."""

    class Trader(Strategy):
        strategy_id = "trader"

    trader, qty, price = Trader(context()), Decimal(1), Decimal(9)
    wishes = [
        trader.buy(BTC, qty),
        trader.sell(BTC, qty, price),
        trader.sell(BTC, qty, stop_price=price, reduce_only=True),
        trader.buy(BTC, qty, reduce_only=True),
    ]
    assert [(wish.side, wish.type, wish.limit_price, wish.stop_price, wish.reduce_only) for wish in wishes] == [
        ("buy", "market", None, None, False),
        ("sell", "limit", price, None, False),
        ("sell", "stop", None, price, True),
        ("buy", "market", None, None, True),
    ]


@pytest.mark.parametrize("name", HOOKS.values())
def test_every_hook_may_take_the_context(name):
    """A hook with a second parameter gets the context there."""
    got = []
    made = type("Curious", (Strategy,), {"strategy_id": "c", name: lambda self, event, view: got.append((event, view))})
    view, event = context(), object()
    hook = made(view)._hooks[next(kind for kind, hook in HOOKS.items() if hook == name)]
    hook(made(view), event)
    assert got == [(event, view)]


def test_a_misspelt_hook_is_no_silence():
    """`on_trades` would never be called, so the class is refused with the name that was meant."""
    with pytest.raises(TypeError, match=r"on_trades is no hook .* did you mean 'on_trade'"):
        type("Deaf", (Strategy,), {"on_trades": lambda self, event: None})


@dataclass(frozen=True)
class Dials:
    """Parameters of every kind."""

    fast: int
    width: float = 2.0
    qty: Decimal = Decimal(1)
    modes: tuple[str, ...] = ()


def test_parameters_are_typed():
    """Values of the file become typed fields; what is not given takes its default."""
    assert params_from({"fast": 3, "qty": 0.1, "width": 2, "modes": ["a"]}, Dials) == Dials(
        3, 2.0, Decimal("0.1"), ("a",)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fast": "3"}, "params.fast is '3'; Expected `int`, got `str`"),
        ({"fast": 3.5}, "params.fast is 3.5; Expected `int`, got `float`"),
        ({"fast": True}, "params.fast is True; Expected `int`, got `bool`"),
        ({"fast": 3, "qty": "lots"}, "params.qty is 'lots'; Invalid decimal string"),
        ({"fast": 3, "modes": ["a", 1]}, "params.modes is ['a', 1]; Expected `str`, got `int`"),
        ({"fst": 3}, "params.fst: unknown key; did you mean 'fast'? allowed: fast, width, qty, modes"),
        ({}, "params: Object missing required field `fast`"),
    ],
)
def test_wrong_parameters_are_refused(values, message):
    """A typo, a wrong type or a missing parameter is named with what would be right."""
    with pytest.raises(ConfigError) as error:
        params_from(values, Dials)
    assert str(error.value) == message


def test_parameters_reach_the_strategy_typed_and_raw():
    """`self.params` holds them typed, `context.config` as they were written."""

    class Dialled(Strategy):
        strategy_id = "dialled"
        Params = Dials

    strategy = Dialled(context(fast=5, qty="0.50"))
    assert (strategy.params.fast, strategy.params.qty) == (5, Decimal("0.50"))
    assert dict(strategy.context.config) == {"fast": 5, "qty": "0.50"}


class Keeper(Stateful):
    """Holds memory of every kind."""

    def __init__(self):
        self.number, self.share, self.name, self.on, self.none = 3, 0.1, "x", True, None
        self.money = Decimal("0.10")
        self.pair = (1, Decimal(2), (3.0,))
        self.rows = [{"a": [1.5, 2.5], "b": (Decimal("1E+3"),)}]
        self.event = trade(100.5)
        self.status = OrderStatus.ACK
        self.sma = Sma(2)
        self.lanes = PerSymbol(lambda: Sma(3))


def over_json(state):
    """As the state comes back after a restart."""
    return json.loads(json.dumps(state))


def test_memory_comes_back_with_its_types():
    """Decimals stay Decimals with all digits, tuples tuples, events events, floats bit for bit."""
    old = Keeper()
    old.money, old.share = Decimal("123.4500"), 0.1 + 0.2
    old.sma.update(1.0)
    old.lanes["BTC/USDT"].update(5.0)
    new = Keeper()
    new.restore(over_json(old.snapshot()))
    assert new.sma.update(2.0) == 1.5
    assert new.lanes["BTC/USDT"].snapshot() == old.lanes["BTC/USDT"].snapshot()
    for name in ("number", "share", "name", "on", "none", "pair", "rows", "event", "status"):
        assert repr(getattr(new, name)) == repr(getattr(old, name))
    assert repr(new.money) == "Decimal('123.4500')"


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), float("nan"), Decimal("Infinity"), {1: "a"}, {"$": "a"}, [Sma(2)], b"x"],
    ids=["set", "object", "nan", "infinity", "key", "mark", "listed", "bytes"],
)
def test_what_cannot_be_remembered_is_named(value):
    """A value that JSON cannot bring back is refused with the attribute's name instead of being lost."""
    keeper = Keeper()
    keeper.rows = [value]
    with pytest.raises(ContractError, match=r"Keeper\.rows\[0\]"):
        keeper.snapshot()


def test_an_indicator_must_be_made_by_the_constructor():
    """A memory whose owner the constructor does not make is refused, not forgotten."""
    late = Keeper()
    late.extra = Sma(2)  # type: ignore[attr-defined]  # what the test is about
    with pytest.raises(ContractError, match=r"Keeper\.extra has a memory, so __init__ must create it"):
        Keeper().restore(late.snapshot())


def test_settings_from_outside_are_no_memory():
    """Context, parameters and the own id are not written down: after a restart they are today's."""

    class Dialled(Strategy):
        strategy_id = "dialled"
        Params = Dials

        def __init__(self, view):
            super().__init__(view)
            self.count = self.params.fast

    assert Dialled(context(fast=5)).snapshot() == {"count": 5}


def test_foreign_memory_is_refused():
    """A mark that no version of this code has written is an error, not a guess."""
    with pytest.raises(ContractError, match="no memory that this version can read"):
        Keeper().restore({"money": {"$": "float128", "value": "1"}})
