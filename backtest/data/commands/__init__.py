"""The sub-commands of `python -m backtest.data`; each module's docstring is its help."""
