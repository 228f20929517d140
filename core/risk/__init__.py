"""The gate: every check between an intent and an order."""
