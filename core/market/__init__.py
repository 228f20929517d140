"""Market data: decoding a venue's streams, synthetic markets."""
