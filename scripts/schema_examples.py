"""One example per event, as a reader would want to see it: a small buy that is allowed, filled and accounted for."""

from __future__ import annotations

from decimal import Decimal

from core.codec import Header
from core.contracts import (
    BarCorrection,
    BookEvent,
    CancelIntent,
    ConfigApplied,
    ConfigChanged,
    ConfigReady,
    CorporateAction,
    DeadLetter,
    Event,
    FillEvent,
    Halt,
    KillSwitchSet,
    OHLCVBar,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    PnlDay,
    PortfolioSnapshot,
    PositionSnapshot,
    ProtectionFailed,
    Resume,
    RiskCheck,
    RiskDecision,
    SessionStarted,
    Signal,
    SignalIntention,
    SizingDecision,
    StateObserved,
    StrategyFailed,
    TickerEvent,
    TradeEvent,
    TradeGap,
    ValuationTrigger,
    WarmUp,
    Watermark,
    fill_id,
    intent_id,
    order_id,
    signal_id,
)

_SYMBOL = "BTC/USDT"
_STRATEGY = "sma_cross_v1"
_INTENT = intent_id(_STRATEGY, 1040, 0)
_SIGNAL = signal_id(_STRATEGY, 1040, 0)
_ORDER = order_id(_INTENT)
_NS = 1_723_075_200_250_000_000  # 2024-08-08 00:00:00.25 UTC
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

_BAR = OHLCVBar(
    symbol=_SYMBOL,
    timeframe="1m",
    ts_open=1_723_075_200_000_000_000,
    ts_close=1_723_075_260_000_000_000,
    open=55130.0,
    high=55140.5,
    low=55128.25,
    close=55133.01,
    volume=12.875,
    vwap=55133.5,
    turnover=709843.8125,
    trade_count=412,
    currency="USDT",
)

ENVELOPE = Header(
    seq=1042,
    ts=_NS + 1_000_000,
    prev=1039,
    src="risk_engine.main",
    cause=1041,
    root=1040,
    root_ts=_NS,
    type="RiskDecision",
    v=1,
    n=17,
    more=1,
)

_MARKET: tuple[Event, ...] = (
    TradeEvent(_SYMBOL, 55133.01, 0.0021, "buy", _NS, "3719451234", _NS + 4_100_000),
    BookEvent(
        symbol=_SYMBOL,
        bids=((55133.0, 1.25), (55132.5, 0.0)),
        asks=((55133.01, 0.75),),
        kind="delta",
        first_update_id=50_123_001,
        last_update_id=50_123_004,
        ts_exchange_ns=_NS,
        ts_recv_ns=_NS + 4_100_000,
    ),
    TickerEvent(
        symbol=_SYMBOL,
        last=55133.01,
        bid=55133.0,
        ask=55133.01,
        bid_qty=1.25,
        ask_qty=0.75,
        update_id=50_123_004,
        ts_exchange_ns=_NS,
        ts_recv_ns=_NS + 4_100_000,
    ),
    _BAR,
    BarCorrection(_SYMBOL, "1m", 1_723_075_140_000_000_000, "3719451200", 55131.5, 0.0005, 1_723_075_199_990_000_000),
    TradeGap(_SYMBOL, _NS - 3_000_000_000, _NS, 17, "the venue does not give the trades 3719451201 to 3719451217"),
    CorporateAction("AAPL/USD", "split", 1_598_832_000_000_000_000, ratio=Decimal(4)),
    Watermark(_SYMBOL, 1_723_075_200_000_000_000),
)

_TRADING: tuple[Event, ...] = (
    Signal(
        strategy_id=_STRATEGY,
        symbol=_SYMBOL,
        intention=SignalIntention.OPEN_LONG,
        price=Decimal("55133.01"),
        confidence=0.85,
        stop_loss=Decimal("54600"),
        take_profit=Decimal("56200"),
        signal_id=_SIGNAL,
    ),
    SizingDecision(
        signal_id=_SIGNAL,
        accepted=True,
        qty=Decimal("0.00400"),
        intent_ids=(_INTENT,),
        checks=(RiskCheck("concentration", True, "0.00400", "0.00907"),),
        strategy_id=_STRATEGY,
        symbol=_SYMBOL,
    ),
    OrderIntent(_STRATEGY, _SYMBOL, "buy", "limit", Decimal("0.00400"), Decimal("55133.00"), _INTENT),
    CancelIntent(_STRATEGY, _ORDER, _SYMBOL),
    RiskDecision(
        intent_id=_INTENT,
        allowed=True,
        caps={"per_order_usd_cap": "250", "daily_loss_usd_cap": "300", "orders_per_min_cap": "30"},
        checks=(RiskCheck("per_order_cap", True, "220.532", "250"),),
        strategy_id=_STRATEGY,
        symbol=_SYMBOL,
    ),
    OrderEvent(
        intent_id=_INTENT,
        venue="paper",
        symbol=_SYMBOL,
        side="buy",
        type="limit",
        qty=Decimal("0.00400"),
        ts_accepted_ns=_NS + 1_000_000,
        order_id=_ORDER,
        strategy_id=_STRATEGY,
        limit_price=Decimal("55133.00"),
    ),
    OrderUpdate(
        order_id=_ORDER,
        status=OrderStatus.FILLED,
        symbol=_SYMBOL,
        side="buy",
        order_qty=Decimal("0.00400"),
        cum_qty=Decimal("0.00400"),
        leaves_qty=Decimal("0.00000"),
        strategy_id=_STRATEGY,
        ts_ns=_NS,
    ),
)

_ACCOUNT: tuple[Event, ...] = (
    FillEvent(
        order_id=_ORDER,
        symbol=_SYMBOL,
        side="buy",
        qty=Decimal("0.00400"),
        price=Decimal("55133.00"),
        fee=Decimal("0.220532"),
        ts_fill_ns=_NS,
        fill_id=fill_id(_ORDER, 1),
        strategy_id=_STRATEGY,
        fee_asset="USDT",
        liquidity="maker",
        venue="paper",
    ),
    PositionSnapshot(_SYMBOL, 0.004, 55133.0, 0.0, _NS, _STRATEGY, 0.220532),
    PortfolioSnapshot(
        portfolio_id="main",
        timestamp_ns=_NS,
        total_equity=9999.779508,
        cash=9779.247468,
        unrealized_pnl=0.00004,
        fees=0.220532,
        positions={_SYMBOL: 0.004},
    ),
    PnlDay("2024-08-08", Decimal("-0.220492"), Decimal("9999.779508"), Decimal(10000), _NS),
)

_CONTROL: tuple[Event, ...] = (
    WarmUp(
        instance="strategy_runner.main",
        symbol=_SYMBOL,
        timeframe="1m",
        bars=(_BAR,),
        asked=1,
        before_seq=12,
    ),
    Halt("risk_engine.main", "kill switch file: exchange maintenance", 2001),
    Resume("risk_engine.main", "file and key are clear", 2104),
    ConfigChanged("portfolio_manager.main", {"portfolio": {"id": "main", "quote": "USDT"}}, _SHA, _SHA, 1),
    ConfigReady("paper_trader.main", _SHA, in_force=False),
    ConfigApplied(_SHA, {"portfolio_manager": {"portfolio": {"id": "main", "quote": "USDT"}}}),
    SessionStarted("risk_engine.main", "trader-1", 12, False),
    StateObserved("paper_trader.main", 1042, 7, 16, {"market_ns": _NS, "handler": {}}),
    DeadLetter(
        "risk_engine.main", "strat.intent", "no OrderIntent: Object missing required field `qty`", '{"side":"buy"}'
    ),
    StrategyFailed(_STRATEGY, "ZeroDivisionError: float division by zero", 3, False),
    ProtectionFailed(_STRATEGY, _SYMBOL, Decimal("0.01"), "stop", Decimal("61000"), "rate_limit", 1, final=False),
    ValuationTrigger("end of the trading day"),
    KillSwitchSet("trip-file", "exchange maintenance", "ops@trader-1", _NS),
)

EXAMPLES: dict[type[Event], Event] = {type(example): example for example in (*_MARKET, *_TRADING, *_ACCOUNT, *_CONTROL)}
