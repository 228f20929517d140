"""Portfolio mathematics."""
