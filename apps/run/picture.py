"""What the view shows: the lines of the order folded into the present, and into sentences worth reading."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from core import codec
from core.contracts import (
    BarCorrection,
    ConfigApplied,
    DeadLetter,
    Event,
    FillEvent,
    Halt,
    Instrument,
    KillSwitchSet,
    OHLCVBar,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    PnlDay,
    PortfolioSnapshot,
    PositionSnapshot,
    ProtectionFailed,
    Resume,
    RiskDecision,
    Signal,
    SizingDecision,
    StrategyFailed,
    TradeGap,
    WarmUp,
    Watermark,
)
from core.errors import CodecError

RECENT = 200
RATE_WINDOW_S = 3.0
UNFILLED = {OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}


class Happening(NamedTuple):
    """Something worth a line.

    Attributes:
        market_ns: market time when it happened, ns UTC; 0 before the market's first second.
        kind: "signal", "sizing", "intent", "decision", "order", "fill", "position", "market", "halt", "trouble",
            "process", "config" or "note".
        text: in words, without the kind.
        good: False for what a trader does not want to see.
    """

    market_ns: int
    kind: str
    text: str
    good: bool = True


@dataclass(slots=True)
class Row:
    """One process as the view shows it.

    Attributes:
        instance: which.
        state: what it says of itself, or "starting", "down", "finished", "stopped".
        seq: last line it has read or written.
        lag: lines on its topics that it has not handled yet.
        journalled: lines written to its journals since it started.
        dead_letters: messages it could not read.
        restarts: how often it was started again.
    """

    instance: str
    state: str = "starting"
    seq: int = 0
    lag: int = 0
    journalled: int = 0
    dead_letters: int = 0
    restarts: int = 0


@dataclass(slots=True)
class Picture:
    """The present.

    Attributes:
        instrument: what is traded.
        source: the market's origin and speed, in words.
        market_ns: market time, ns UTC; 0 before the first second.
        price: last trade, quote units; 0 before the first.
        bid: best bid, quote units; 0 before the first ticker.
        ask: best ask, quote units; 0 before the first ticker.
        bar: the newest one-minute bar; None before the first.
        halted: why trading is halted; empty while it is not, None while the gate has not spoken.
        portfolio: the account; None before its first snapshot.
        pnl_day: the profit of the UTC day; None before the first.
        positions: by symbol and strategy.
        counts: signals, intents, allowed, denied and fills seen by this view.
        rows: the processes.
        server: the Redis server in words.
        alerts: what is wrong now, in words.
        recent: the newest happenings, oldest first.
        quiet: whether what is folded is past, and not told.
    """

    instrument: Instrument
    source: str
    market_ns: int = 0
    price: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    bar: OHLCVBar | None = None
    halted: str | None = None
    portfolio: PortfolioSnapshot | None = None
    pnl_day: PnlDay | None = None
    positions: dict[tuple[str, str], PositionSnapshot] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)
    server: str = ""
    alerts: list[str] = field(default_factory=list)
    recent: deque[Happening] = field(default_factory=lambda: deque(maxlen=RECENT))
    quiet: bool = False
    _samples: deque[tuple[float, int, int]] = field(default_factory=deque)
    _ended: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))

    # -- rates

    def sample(self, now_s: float, seq: int) -> None:
        """Note how far the order has come, for the rates."""
        self._samples.append((now_s, seq, self.market_ns))
        while len(self._samples) > 2 and now_s - self._samples[0][0] > RATE_WINDOW_S:
            self._samples.popleft()

    @property
    def events_per_s(self) -> float:
        """Lines of the order per second, over the last three."""
        elapsed_s, lines, _ = self._moved()
        return lines / elapsed_s if elapsed_s else 0.0

    @property
    def pace(self) -> float:
        """Market seconds per second, over the last three; 0 before the market's first second."""
        elapsed_s, _, market_ns = self._moved()
        started = bool(self._samples) and self._samples[0][2] > 0
        return market_ns / 1e9 / elapsed_s if elapsed_s and started else 0.0

    def _moved(self) -> tuple[float, int, int]:
        if len(self._samples) < 2:
            return 0.0, 0, 0
        first, last = self._samples[0], self._samples[-1]
        return last[0] - first[0], last[1] - first[1], last[2] - first[2]

    # -- folding

    def fold(self, line: bytes) -> None:
        """Take in a line of the order; one that cannot be read is left to the services, who report it."""
        try:
            event = codec.decode_line(line, codec.header_of(line))
        except CodecError:
            return
        if isinstance(event, Watermark):
            self.market_ns = max(self.market_ns, event.market_ns)
        else:
            self.see(event)

    def see(self, event: Event) -> None:
        """Take in an event."""
        match event:
            case PortfolioSnapshot():
                self.portfolio = event
            case PnlDay():
                self.pnl_day = event
            case PositionSnapshot():
                self._position(event)
            case Halt() | Resume() | WarmUp():
                self._observed(event)
            case FillEvent() | OrderIntent() | RiskDecision() | OrderUpdate() | Signal() | SizingDecision():
                self._trading(event)
            case OHLCVBar():
                self.bar = event
            case TradeGap() | BarCorrection():
                self.tell("market", _market_trouble(event), good=False)
            case ConfigApplied():
                self.tell("config", f"a changed configuration is in force ({event.config_hash[:12]})")
            case StrategyFailed() | DeadLetter() | KillSwitchSet() | ProtectionFailed():
                self.tell("trouble", _trouble(event), good=False)

    def tell(self, kind: str, text: str, *, good: bool = True, at_ns: int = 0) -> None:
        """Add a happening, at the market time of now unless another is given."""
        if not self.quiet:
            self.recent.append(Happening(at_ns or self.market_ns, kind, text, good))
            self.counts["happenings"] += 1

    def _position(self, position: PositionSnapshot) -> None:
        key = position.symbol, position.strategy_id
        before = self.positions.get(key)
        self.positions[key] = position
        if before is None or before.qty != position.qty:
            self.tell("position", self.position_text(position), at_ns=position.ts_ns)

    def _observed(self, event: Halt | Resume | WarmUp) -> None:
        if isinstance(event, WarmUp):
            self.tell("warm-up", warm_up_text(event), good=len(event.bars) == event.asked)
            return
        before, self.halted = self.halted, event.reason if isinstance(event, Halt) else ""
        if self.halted:
            self.tell("halt", f"trading is halted: {event.reason}", good=False)
        elif before:
            self.tell("halt", f"trading again: {event.reason}")

    def _trading(self, event: FillEvent | OrderIntent | RiskDecision | OrderUpdate | Signal | SizingDecision) -> None:
        match event:
            case Signal():
                self.counts["signals"] += 1
                self.tell("signal", f"{event.intention} {event.symbol} by {event.strategy_id}")
            case SizingDecision(accepted=False):
                self.tell("sizing", f"REFUSED {event.reason}, {event.symbol} of {event.strategy_id}", good=False)
            case OrderIntent():
                self.counts["intents"] += 1
                self.tell("intent", f"{intent_text(event)} by {event.strategy_id}")
            case RiskDecision():
                self.counts["allowed" if event.allowed else "denied"] += 1
                self.tell("decision", decision_text(event), good=event.allowed)
            case FillEvent():
                self.counts["fills"] += 1
                what = f"{event.side} {event.qty:f} {event.symbol} at {self.money(event.price)}"
                self.tell("fill", f"{what}, fee {event.fee:.4f}, {event.strategy_id}", at_ns=event.ts_fill_ns)
            case OrderUpdate(status=status) if status in UNFILLED and event.order_id not in self._ended:
                self._ended.append(event.order_id)  # whoever cancels it after its end hears of the end again
                why = f": {event.reason}" if event.reason else ""
                what = f"{event.side} {event.order_qty:f} {event.symbol} {status}{why}"
                self.tell("order", what, good=status is OrderStatus.CANCELED)

    # -- words

    def money(self, price: object) -> str:
        """A price with the decimals of the tick: "61,737.60"."""
        exponent = self.instrument.tick_size.normalize().as_tuple().exponent
        return f"{price:,.{max(0, -int(exponent))}f}"

    def position_text(self, position: PositionSnapshot) -> str:
        """ "long 0.003 BTC/USDT at 61,737.60, realized -0.12", and the strategy where it is one's."""
        held = f"{'long' if position.qty > 0 else 'short'} {abs(position.qty):g} {position.symbol}"
        what = f"{held} at {self.money(position.avg_price)}" if position.qty else f"flat {position.symbol}"
        whose = f", {position.strategy_id}" if position.strategy_id else ""
        return f"{what}, realized {position.realized_pnl:+,.2f}{whose}"


def intent_text(intent: OrderIntent) -> str:
    """ "sell 0.003 BTC/USDT stop 60100.00, reduce only"."""
    price = intent.limit_price if intent.stop_price is None else intent.stop_price
    where = "" if price is None else f" {price:f}"
    return f"{intent.side} {intent.qty:f} {intent.symbol} {intent.type}{where}{', reduce only' * intent.reduce_only}"


def decision_text(decision: RiskDecision) -> str:
    """ "allowed" or "denied stale_price: 6.2, limit 5", with strategy and symbol."""
    who = f"{decision.symbol} of {decision.strategy_id}".strip()
    if decision.allowed:
        return f"allowed {who}, {len(decision.checks)} checks"
    failed = next((check for check in decision.checks if not check.passed), None)
    why = f" ({failed.value or 'unknown'}; limit {failed.limit})" if failed else ""
    return f"DENIED {decision.reason}{why}, {who}"


def warm_up_text(event: WarmUp) -> str:
    """ "12 of 400 bars of BTC/USDT 1m from before; the log says why there were no more"."""
    found = f"{len(event.bars):,} of {event.asked:,} bars of {event.symbol} {event.timeframe} from before"
    return found if len(event.bars) == event.asked else f"{found}; the log says why there were no more"


def _trouble(event: StrategyFailed | DeadLetter | KillSwitchSet | ProtectionFailed) -> str:
    match event:
        case ProtectionFailed():
            end = "; it is not tried again, look after the position" if event.final else ""
            what = f"{event.qty:f} {event.symbol} of {event.strategy_id} is without its {event.protection}"
            return f"{what} at {event.price:f}: {event.reason}{end}"
        case StrategyFailed():
            end = ", gets no more events" if event.quarantined else ""
            return f"strategy {event.strategy_id} raised {event.error} ({event.errors} so far{end})"
        case DeadLetter():
            return f"{event.instance} could not read {event.topic}: {event.error}"
        case KillSwitchSet():
            return f"kill switch {event.action} by {event.by}: {event.reason}"


def _market_trouble(event: TradeGap | BarCorrection) -> str:
    match event:
        case TradeGap():
            return f"{event.missing or 'some'} trades of {event.symbol} are missing: {event.reason}"
        case BarCorrection():
            return f"a trade of {event.symbol} came after its {event.timeframe} bar {utc(event.ts_open, '%H:%M')}"


def utc(ns: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time as text, dashes where there is none yet.

    >>> utc(1_723_161_253_937_085_768)
    '2024-08-08 23:54:13'
    """
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime(form) if ns else "-"
