"""The account: fills become equity and the profit of the day."""
