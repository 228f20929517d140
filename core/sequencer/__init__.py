"""The total order: one atomic commit on Redis, or in memory with the same semantics."""
