"""Strategies: market data, fills and order updates become intents."""
