"""The sample strategies."""
