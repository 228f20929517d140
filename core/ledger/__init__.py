"""The lot ledger: positions, cash, fees."""
