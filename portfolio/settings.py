"""What the portfolio manager is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from core import codec
from core.contracts import Instrument, PortfolioConfig
from core.contracts.base import refuse, require_text
from core.handler import Content
from core.ledger.settings import PortfolioSettings
from core.risk.policy import RiskPolicy


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """The portfolio manager's part of the configuration.

    Attributes:
        portfolio: the capital and who may use how much of it; what it begins with counts when the account is opened.
        quote: the asset that everything is priced, paid and reported in; likewise.
        policy: how large positions become.
        instruments: what signals may trade, each symbol once.
    """

    portfolio: PortfolioConfig = field(default_factory=lambda: PortfolioConfig("main", 10_000.0))
    quote: str = "USDT"
    policy: RiskPolicy = field(default_factory=RiskPolicy)
    instruments: tuple[Instrument, ...] = ()

    def __post_init__(self) -> None:
        require_text(self, "quote", self.quote)
        symbols = [instrument.symbol for instrument in self.instruments]
        for symbol in symbols:
            if symbols.count(symbol) > 1:
                raise refuse(self, "instruments", symbol, "each symbol once")


@dataclass(frozen=True, slots=True)
class _Opened:
    """The part as it was recorded before strategies had shares: the account at its opening, and nothing else."""

    portfolio: PortfolioSettings


def settings_from(content: Content) -> ManagerSettings:
    """Read the part; also one that was recorded when there was no sizer, so that its session can be restored.

    Raises:
        ContractError: it does not fit.
    """
    if "portfolio_id" in content.get("portfolio", {"portfolio_id": ""}):
        return codec.convert(content, ManagerSettings)
    opened = codec.convert(content, _Opened).portfolio
    return ManagerSettings(PortfolioConfig(opened.id, float(opened.starting_cash)), opened.quote)
