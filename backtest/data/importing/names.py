"""What the name of a file suggests: it is compared with what was asked for, and decides nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BTC", "ETH", "BNB")
_FREQTRADE = re.compile(r"(?P<base>[A-Z0-9]+)_(?P<quote>[A-Z0-9]+)(_[A-Z0-9]+)?-\d+[smhd]\b", re.ASCII)
_LENGTH = re.compile(r"[-_.](\d{1,2}[smhd])[-_.]", re.ASCII)


class Suggestion(NamedTuple):
    """What a name says.

    Attributes:
        symbol: "BTC/USDT"; empty if it says none.
        timeframe: "1m"; empty if it says none.
    """

    symbol: str
    timeframe: str


def suggested(name: str) -> Suggestion:
    """What a file's name says of its content.

    >>> suggested("BTC_USDT-1m.feather"), suggested("FILUSDT-1m-2023-08.csv.gz")
    (Suggestion(symbol='BTC/USDT', timeframe='1m'), Suggestion(symbol='FIL/USDT', timeframe='1m'))
    """
    length = _LENGTH.search(name)
    timeframe = length[1] if length else ""
    if found := _FREQTRADE.match(name):
        return Suggestion(f"{found['base']}/{found['quote']}", timeframe)
    letters = re.match(r"[A-Z0-9]{5,}(?=[-_.])", name, re.ASCII)
    quote = next((each for each in _QUOTES if letters and letters[0].endswith(each) and letters[0] != each), "")
    return Suggestion(f"{letters[0].removesuffix(quote)}/{quote}" if letters and quote else "", timeframe)


def differences(name: str, symbol: str, timeframe: str) -> list[str]:
    """What the name says otherwise than what was taken in, for people."""
    hint = suggested(name)
    told = []
    if hint.symbol and hint.symbol != symbol.partition(":")[0]:
        told.append(f"the file's name suggests {hint.symbol}, it was taken as {symbol}")
    if timeframe and hint.timeframe and hint.timeframe != timeframe:
        told.append(f"the file's name suggests {hint.timeframe}, its bars are {timeframe}")
    return told
