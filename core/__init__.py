"""What every other package shares: the vocabulary, the bus, the pure domain and the one shell."""
