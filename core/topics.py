"""The only place where a topic is spelled: its events, its owner, its journal, its part in a replay.

A topic's name is a template over the fields of its event: `md.trades.{symbol}` of a trade in BTC/USDT is
`md.trades.BTC/USDT`. Its owner is the one service that writes its journal; a journal's name is a
template of the same kind, with the slash of the symbol left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Generic, TypeVar

from core import contracts as c
from core.contracts.instrument import file_symbol
from core.errors import ContractError

E = TypeVar("E", bound=c.Event)  # invariant: a fills topic takes fills, and nothing broader


class Role(Enum):
    """What a replay does with a line."""

    SOURCE = "source"  # came from outside through a source: fed
    OBSERVATION = "observation"  # seen by a shell: fed to its own handler at its place
    OUTPUT = "output"  # said by a handler: re-executed and compared
    RECORD = "record"  # written by a shell about itself: not fed to its own handler


@dataclass(frozen=True)
class Topic(Generic[E]):
    """A named stream of one type of event.

    Attributes:
        name: template of the channel's name.
        event: the type it carries.
        owner: service that journals it; "*" is whoever publishes (the name carries the instance).
        journal: template of the journal's file name, without ".ndjson".
        role: what a replay does with its lines.
        also: other services whose handlers speak on it.
    """

    name: str
    event: type[E]
    owner: str
    journal: str
    role: Role = Role.OUTPUT
    also: tuple[str, ...] = ()

    def of(self, event: E) -> str:
        """Name of the channel that this event goes to."""
        return self._named(event)

    @cached_property
    def _named(self) -> Callable[[E], str]:
        """Fills in the name; every line that is published goes through it."""
        fields = _FIELD.findall(self.name)
        if not fields:
            return lambda event: self.name
        filled, values = _FIELD.sub("%s", self.name), attrgetter(*fields)
        return lambda event: filled % values(event)

    @property
    def pattern(self) -> str:
        """Subscription to all of its channels: "md.trades.*"."""
        return _FIELD.sub("*", self.name)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """Matches the channels of this topic; the groups are the fields of its name."""
        return re.compile(_FIELD.sub(r"(?P<\1>.+)", self.name.replace(".", r"\.")))

    @property
    def split_by_symbol(self) -> bool:
        """True if one channel is kept in a journal per symbol, as `fills.new` is."""
        return "{symbol}" in self.journal and "{symbol}" not in self.name

    def journal_name(self, topic: str, symbol: str = "") -> str:
        """File name of the journal for a line on `topic`; `symbol` where the topic does not carry it."""
        match = self.regex.fullmatch(topic)
        fields = {**(match.groupdict() if match else {}), **({"symbol": symbol} if symbol else {})}
        named = {key: file_symbol(value) for key, value in fields.items()}
        return undated(self.journal.format(**named)) + ".ndjson"


_FIELD = re.compile(r"\{(\w+)\}")

MD_TRADES = Topic("md.trades.{symbol}", c.TradeEvent, "md_ingest", "md.trades.{symbol}", Role.SOURCE)
MD_BOOK = Topic("md.book.{symbol}", c.BookEvent, "md_ingest", "md.book.{symbol}", Role.SOURCE)
MD_TICKER = Topic("md.ticker.{symbol}", c.TickerEvent, "md_ingest", "md.ticker.{symbol}", Role.SOURCE)
MD_OHLCV = Topic("md.ohlcv.{timeframe}.{symbol}", c.OHLCVBar, "ohlcv_aggregator", "ohlcv.{timeframe}.{symbol}")
MD_ACTIONS = Topic("md.actions.{symbol}", c.CorporateAction, "md_ingest", "md.actions.{symbol}", Role.SOURCE)
CLOCK_MARKET = Topic("clock.market.{symbol}", c.Watermark, "md_ingest", "clock.market.{symbol}", Role.SOURCE)
MD_CORRECTIONS = Topic("md.corrections.{symbol}", c.BarCorrection, "ohlcv_aggregator", "md.corrections.{symbol}")
MD_GAPS = Topic("md.gaps.{symbol}", c.TradeGap, "md_ingest", "md.gaps.{symbol}", Role.SOURCE)
STRAT_SIGNAL = Topic("strat.signal", c.Signal, "strategy_runner", "strat.signal")
STRAT_SIZING = Topic("strat.sizing", c.SizingDecision, "portfolio_manager", "strat.sizing")
STRAT_INTENT = Topic("strat.intent", c.OrderIntent, "strategy_runner", "strat.intent", also=("portfolio_manager",))
ORDERS_CANCEL = Topic("orders.cancel", c.CancelIntent, "strategy_runner", "orders.cancel", also=("portfolio_manager",))
STRAT_FAILED = Topic("control.strategy", c.StrategyFailed, "strategy_runner", "control.strategy")
RISK_DECISIONS = Topic("risk.decisions", c.RiskDecision, "risk_engine", "risk.decisions")
ORDERS_ACCEPTED = Topic("orders.accepted", c.OrderEvent, "risk_engine", "orders.accepted")
ORDERS_UPDATES = Topic("orders.updates", c.OrderUpdate, "paper_trader", "orders.updates")
FILLS_NEW = Topic("fills.new", c.FillEvent, "paper_trader", "fills.{symbol}")
POSITIONS_SNAPSHOT = Topic("positions.snapshot", c.PositionSnapshot, "paper_trader", "positions.{symbol}")
PORTFOLIO_SNAPSHOT = Topic("portfolio.snapshot", c.PortfolioSnapshot, "portfolio_manager", "portfolio")
PNL_DAY = Topic("portfolio.pnl_day", c.PnlDay, "portfolio_manager", "portfolio.pnl_day")
PROTECTION = Topic("control.protection", c.ProtectionFailed, "portfolio_manager", "control.protection")
KILL_SWITCH = Topic("control.kill_switch", c.KillSwitchSet, "risk_engine", "control.kill_switch", Role.SOURCE)
VALUATION = Topic("control.valuation", c.ValuationTrigger, "portfolio_manager", "control.valuation", Role.SOURCE)
HALT = Topic("control.halt.{instance}", c.Halt, "*", "control.halt.{instance}", Role.OBSERVATION)
RESUME = Topic("control.resume.{instance}", c.Resume, "*", "control.resume.{instance}", Role.OBSERVATION)
CONFIG = Topic("control.config.{instance}", c.ConfigChanged, "*", "control.config.{instance}", Role.OBSERVATION)
WARM_UP = Topic("control.warmup.{instance}", c.WarmUp, "*", "control.warmup.{instance}", Role.OBSERVATION)
READY = Topic("control.ready.{instance}", c.ConfigReady, "*", "control.ready.{instance}", Role.RECORD)
RELOAD = Topic("control.reload", c.ConfigApplied, "risk_engine", "control.reload", Role.RECORD)  # heard by shells
SESSION = Topic("control.session.{instance}", c.SessionStarted, "*", "control.session.{instance}", Role.RECORD)
STATE = Topic("control.state.{instance}", c.StateObserved, "*", "control.state.{instance}", Role.RECORD)
DEAD_LETTER = Topic("control.dead_letter.{instance}", c.DeadLetter, "*", "control.dead_letter.{instance}")

TOPICS: tuple[Topic[c.Event], ...] = tuple(value for value in list(globals().values()) if isinstance(value, Topic))
TOPIC_OF_EVENT = {topic.event: topic for topic in TOPICS}
"""The one topic of every event type."""

INGEST = MD_TRADES.owner
"""The service of which there is one instance per symbol."""

REPLAY = "replay_engine"
"""The service that publishes recorded market data in the place of those that made them."""

REPLAY_BARS = f"{REPLAY}.main"
REPLAY_TICKS = f"{REPLAY}.ticks"
"""Its instances: one that publishes bars, perhaps with other data, and one that leaves bars to the aggregator."""

STRAY_OWNER = "risk_engine"
"""Journals what anybody publishes on a name that is not in this file, or whose owner has never run in the cell."""

_STRAY = "stray."


def stray_journal(name: str) -> str:
    """File name of the journal for a channel without a journal of its own; no two channels share one.

    >>> stray_journal("alerts/desk.1")
    'stray.alerts%desk.1.ndjson'
    """
    return (
        undated(f"{_STRAY}{name.replace('/', '%')}") + ".ndjson"
    )  # one character: the longest names must fit a file's


def stray_topic(file: str) -> str:
    """The channel of such a file.

    >>> stray_topic("stray.alerts%desk.1.ndjson")
    'alerts/desk.1'
    """
    name = file.removeprefix(_STRAY).removesuffix(".ndjson")
    return (name[:-1] if _DATED.search(name) else name).replace("%", "/")


_DATED = re.compile(r"\.\d{8}(\.\d+)?=*$", re.ASCII)


def undated(name: str) -> str:
    """A journal's name that cannot be taken for that of one day's file; no two names become one.

    >>> undated("md.trades.BTCUSDT"), undated("control.session.risk_engine.20250930")
    ('md.trades.BTCUSDT', 'control.session.risk_engine.20250930=')
    """
    return name + "=" if _DATED.search(name) else name


def topic_of(event: c.Event) -> str:
    """The channel of an event.

    Raises:
        ContractError: there is none for its type.
    """
    topic = TOPIC_OF_EVENT.get(type(event))
    if topic is None:
        raise ContractError(f"{type(event).__name__} has no topic; allowed: {_event_names()}")
    return topic.of(event)


@lru_cache(maxsize=4096)
def find(name: str) -> Topic[c.Event] | None:
    """The topic of a channel; None for a name that nobody has declared."""
    return next((topic for topic in TOPICS if topic.regex.fullmatch(name)), None)


def event_type(name: str) -> type[c.Event] | None:
    """The event type with this class name, None if there is none on any topic."""
    return _EVENT_TYPES.get(name)


_EVENT_TYPES = {topic.event.__name__: topic.event for topic in TOPICS}


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool:
    """Whether a subscription covers a channel; `*` stands for any text.

    >>> matches("md.trades.*", "md.trades.BTC/USDT"), matches("md.trades.*", "md.book.BTC/USDT")
    (True, False)
    """
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None


def covered(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the subscriptions covers a channel."""
    return any(matches(pattern, name) for pattern in patterns)


def owns(instance: str, name: str) -> bool:
    """Whether this instance writes the journal of this channel.

    Market data of a symbol belongs to the ingest instance of that symbol (see `ingest_of`), where they are replayed to
    the replay. No two owners of a channel ever run at a time: who replays holds the leases of those whose place it
    takes.
    """
    service = instance.partition(".")[0]
    topic = find(name)
    if topic is None:
        return service == STRAY_OWNER
    fields = topic.regex.fullmatch(name)
    if topic.owner == "*":
        return fields is not None and fields["instance"] == instance
    if service == REPLAY:
        return topic.owner == INGEST or (topic is MD_OHLCV and instance == REPLAY_BARS)
    if topic.owner != service:
        return False
    return service != INGEST or fields is None or instance == ingest_of(fields["symbol"])


def ingest_of(symbol: str) -> str:
    """The instance that publishes the market data of a symbol.

    >>> ingest_of("BTC/USDT")
    'md_ingest.BTCUSDT'
    """
    return f"{INGEST}.{file_symbol(symbol)}"


def feeds(instance: str) -> bool:
    """Whether an instance is a source: it publishes the market and hears nothing.

    >>> feeds("md_ingest.BTCUSDT"), feeds("risk_engine.main")
    (True, False)
    """
    return instance.partition(".")[0] in (INGEST, REPLAY)


def observations_of(instance: str) -> frozenset[str]:
    """The channels on which this instance's own shell says what it has observed.

    >>> sorted(observations_of("risk_engine.main"))[0]
    'control.config.risk_engine.main'
    """
    return frozenset(topic.name.format(instance=instance) for topic in TOPICS if topic.role is Role.OBSERVATION)


def says(service: str, instance: str, name: str) -> bool:
    """Whether this instance's handler may publish on this channel."""
    topic = find(name)
    if topic is None or topic.role is not Role.OUTPUT:
        return False
    return service in (topic.owner, *topic.also) or (topic.owner == "*" and name.endswith("." + instance))


def _event_names() -> str:
    return ", ".join(sorted(_EVENT_TYPES))
