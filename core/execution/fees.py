"""What a venue charges for a fill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.contracts import Liquidity
from core.contracts.base import refuse, set_decimal
from core.ledger.exact import exact

_PER_BPS = Decimal("0.0001")
_BPS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Fees in basis points of the notional, by who took the other's price.

    >>> FeeSchedule(Decimal("-1"), Decimal("7.5")).fee(Decimal("2"), Decimal("30000"), "taker")
    Decimal('45.00000')

    Attributes:
        maker_bps: basis points for a resting order; negative is a rebate.
        taker_bps: basis points for an order that took a resting price; negative is a rebate.
    """

    maker_bps: Decimal
    taker_bps: Decimal

    def __post_init__(self) -> None:
        for name in ("maker_bps", "taker_bps"):
            set_decimal(self, name)
            if abs(getattr(self, name)) >= _BPS_MAX:
                raise refuse(self, name, getattr(self, name), "between -10,000 and 10,000 basis points")

    @exact()
    def fee(self, qty: Decimal, price: Decimal, liquidity: Liquidity) -> Decimal:
        """Quote units to pay for one fill, never rounded; negative is a rebate.

        Raises:
            LedgerError: the product is not exact.
        """
        bps = self.maker_bps if liquidity == "maker" else self.taker_bps
        return qty * price * bps * _PER_BPS
