"""The gate: every intent gets a decision, an allowed one becomes an order."""
