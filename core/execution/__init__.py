"""What becomes of an order: its states, matching, fees."""
