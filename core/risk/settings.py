"""What the risk gate is told: its caps, the instruments it knows, and where orders go."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import Instrument
from core.contracts.base import refuse, require_positive, require_text, set_decimal

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RiskSettings:
    """The caps of the gate and the places of the kill switch; the section `risk` of the configuration.

    Attributes:
        per_order_usd_cap: most that one order may be worth, quote units, above 0.
        daily_loss_usd_cap: loss of one UTC day at which trading stops, quote units, above 0.
        orders_per_min_cap: orders per symbol at once, and how many more a minute of market time brings, 1 or more.
        max_price_age_s: how old the last trade may be, seconds, above 0.
        max_pnl_age_s: in live trading, how old the profit of the day may be, seconds, above 0; it is told at
            least once a minute of market time.
        max_intent_age_s: how old the cause of an intent may be, seconds, above 0.
        kill_switch_file: trading halts while this file exists; relative to the configuration's root. The
            folder must outlive a reboot.
        kill_switch_key: trading halts while this Redis key holds 1.
    """

    per_order_usd_cap: Decimal = Decimal(250)
    daily_loss_usd_cap: Decimal = Decimal(300)
    orders_per_min_cap: int = 30
    max_price_age_s: float = 5.0
    max_pnl_age_s: float = 120.0
    max_intent_age_s: float = 5.0
    kill_switch_file: str = "var/state/njord.trading.halt"
    kill_switch_key: str = "njord:trading:halt"

    def __post_init__(self) -> None:
        for name in ("per_order_usd_cap", "daily_loss_usd_cap"):
            set_decimal(self, name)
            if getattr(self, name) <= 0:
                raise refuse(self, name, getattr(self, name), "above 0")
        for name in ("max_price_age_s", "max_pnl_age_s", "max_intent_age_s"):
            require_positive(self, name, getattr(self, name))
        if self.orders_per_min_cap < 1:
            raise refuse(self, "orders_per_min_cap", self.orders_per_min_cap, "1 or more")
        require_text(self, "kill_switch_file", self.kill_switch_file)
        require_text(self, "kill_switch_key", self.kill_switch_key)

    @property
    def max_price_age_ns(self) -> int:
        """`max_price_age_s` in nanoseconds."""
        return round(self.max_price_age_s * _NS_PER_S)

    @property
    def max_pnl_age_ns(self) -> int:
        """`max_pnl_age_s` in nanoseconds."""
        return round(self.max_pnl_age_s * _NS_PER_S)

    @property
    def max_intent_age_ns(self) -> int:
        """`max_intent_age_s` in nanoseconds."""
        return round(self.max_intent_age_s * _NS_PER_S)


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The risk engine's part of the configuration.

    Attributes:
        env: "live" demands a fresh PnL of the day; elsewhere a missing one counts as 0.
        venue: where allowed orders go; "paper" for simulated fills.
        risk: the caps.
        instruments: what may be traded at all, each symbol once.
    """

    env: str
    venue: str
    risk: RiskSettings
    instruments: tuple[Instrument, ...]

    def __post_init__(self) -> None:
        require_text(self, "env", self.env)
        require_text(self, "venue", self.venue)
        symbols = [instrument.symbol for instrument in self.instruments]
        for symbol in symbols:
            if symbols.count(symbol) > 1:
                raise refuse(self, "instruments", symbol, "each symbol once")

    @property
    def live(self) -> bool:
        """Whether real money is at stake."""
        return self.env == "live"
