"""Strategies: pure plugins and the host that runs them."""
