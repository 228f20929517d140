"""The lot ledger: positions, cash, fees."""

from core.ledger.account import Ledger
from core.ledger.exact import exact
from core.ledger.invariants import check_invariants
from core.ledger.lots import Lot, LotBook
from core.ledger.positions import Position, PositionBook

__all__ = ["Ledger", "Lot", "LotBook", "Position", "PositionBook", "check_invariants", "exact"]
