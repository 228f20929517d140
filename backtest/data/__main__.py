"""`python -m backtest.data`."""

import sys

from backtest.data.main import main

if __name__ == "__main__":
    sys.exit(main())
