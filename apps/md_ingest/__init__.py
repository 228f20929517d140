"""Market data in: a recorded stream or a synthetic market becomes events."""
