"""What an account is opened with; beside the ledger so that the configuration can embed it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts.base import refuse, require_text, set_decimal


@dataclass(frozen=True, slots=True)
class PortfolioSettings:
    """One portfolio and the cash it starts with.

    Attributes:
        id: names the portfolio in its snapshots.
        starting_cash: units of `quote` on the first day, 0 or more.
        quote: the asset that equity and profit are counted in.
    """

    id: str = "main"
    starting_cash: Decimal = Decimal(10000)
    quote: str = "USDT"

    def __post_init__(self) -> None:
        require_text(self, "id", self.id)
        require_text(self, "quote", self.quote)
        set_decimal(self, "starting_cash")
        if self.starting_cash < 0:
            raise refuse(self, "starting_cash", self.starting_cash, "0 or more")
