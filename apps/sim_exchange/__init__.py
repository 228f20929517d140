"""A simulated exchange: Binance's spot protocol on loopback, over a recorded or a synthetic market."""
