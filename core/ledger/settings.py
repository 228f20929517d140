"""What an account is opened with; beside the ledger so that the configuration can embed it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts.base import refuse, require_text, set_decimal


@dataclass(frozen=True, slots=True)
class PortfolioSettings:
    """The account at its opening.

    Attributes:
        id: the portfolio's name in its snapshots.
        starting_cash: quote units, above 0; counts when the account is opened, not for one that has a history.
        quote: the asset that everything is priced, paid and reported in; likewise.
    """

    id: str = "main"
    starting_cash: Decimal = Decimal(10_000)
    quote: str = "USDT"

    def __post_init__(self) -> None:
        require_text(self, "id", self.id)
        require_text(self, "quote", self.quote)
        set_decimal(self, "starting_cash")
        if self.starting_cash <= 0:
            raise refuse(self, "starting_cash", self.starting_cash, "above 0")
