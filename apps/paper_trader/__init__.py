"""Paper trading: accepted orders become fills at market prices."""
