"""Splits, dividends and new names taken out of prices.

History holds the prices that were paid. What an issuer did since is kept beside them, as corporate actions, and becomes
two factors per bar (see `core.contracts.OHLCVBar`). A price times its split factor is per unit as units are counted
today; a price times its return factor has the dividends taken out as well, so that ratios of such prices are total
returns.

A split of `ratio` new units per old one makes 1 / ratio of each bar before it. A dividend makes 1 - amount / close of
each bar before it, with the last close that was paid with it: the rule of the Center for Research in Security Prices,
which Yahoo Finance publishes for its adjusted closes. Both are in the units of that time, before any split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np

from backtest.data.columns import ARRAYS, PRICES, BarColumns, Floats, Ints
from core.contracts import CorporateAction, iso
from core.contracts.moments import FOREVER
from core.errors import ContractError

Mode = Literal["raw", "split", "total_return"]
MODES: tuple[Mode, ...] = ("raw", "split", "total_return")


class Spell(NamedTuple):
    """The time under one name, `[start_ns, end_ns)`, ns UTC."""

    symbol: str
    start_ns: int
    end_ns: int


def spells(symbol: str, actions: Iterable[CorporateAction]) -> tuple[Spell, ...]:
    """The names that a symbol has had, oldest first; the last one is its own."""
    changes = [action for action in actions if action.kind == "symbol_change"]
    found: list[Spell] = []
    name, end_ns = symbol, FOREVER
    while True:
        earlier = [each for each in changes if each.new_symbol == name and each.ts_effective_ns < end_ns]
        if not earlier:
            return (Spell(name, 0, end_ns), *reversed(found))
        change = max(earlier, key=lambda each: each.ts_effective_ns)
        found.append(Spell(name, change.ts_effective_ns, end_ns))
        name, end_ns = change.symbol, change.ts_effective_ns


def factors(
    ts_open: Ints, closes: Floats, actions: Iterable[CorporateAction], *, as_of_ns: int = FOREVER
) -> tuple[Floats, Floats]:
    """Split factor and return factor of each bar; 1 where nothing comes behind it.

    Args:
        ts_open: of bars of one history, rising, ns UTC.
        closes: their prices as they were paid.
        actions: of that history, in any order; names do not matter here.
        as_of_ns: what is effective only later is not known yet.

    Raises:
        ContractError: a dividend is no less than the price that it was taken from.
    """
    known = [action for action in actions if action.ts_effective_ns <= as_of_ns]
    splits = [(each.ts_effective_ns, Fraction(each.ratio)) for each in known if each.kind == "split"]
    dividends = [each for each in known if each.kind == "dividend"]
    split, total = np.ones(len(ts_open)), np.ones(len(ts_open))
    for at_ns in sorted({at_ns for at_ns, _ in splits}, reverse=True):
        split[: np.searchsorted(ts_open, at_ns)] = float(1 / _units(splits, at_ns, FOREVER))
    for dividend in sorted(dividends, key=lambda each: (each.ts_effective_ns, each.amount)):
        before = int(np.searchsorted(ts_open, dividend.ts_effective_ns))
        if before:
            since = _units(splits, int(ts_open[before - 1]) + 1, dividend.ts_effective_ns)
            total[:before] *= _kept(dividend, float(closes[before - 1] / float(since)))
    return split, split * total


def _units(splits: Iterable[tuple[int, Fraction]], start_ns: int, end_ns: int) -> Fraction:
    """How many units one has become by the splits in `[start_ns, end_ns)`."""
    units = Fraction(1)
    for at_ns, ratio in splits:
        if start_ns <= at_ns < end_ns:
            units *= ratio
    return units


def _kept(dividend: CorporateAction, close: float) -> float:
    """What a dividend leaves of the price before it."""
    kept = 1.0 - float(dividend.amount) / close
    if kept <= 0.0:
        when = iso(dividend.ts_effective_ns)
        raise ContractError(f"dividend of {dividend.symbol} at {when} is {dividend.amount}; the close is {close}")
    return kept


def with_factors(columns: BarColumns, actions: Sequence[CorporateAction], *, as_of_ns: int = FOREVER) -> BarColumns:
    """The bars with the prices that were paid, and with the factors that actions of theirs make.

    Of the actions those count that the symbol had under the name that it bore then. Where none does, the bars keep the
    factors that they carry.

    Args:
        columns: as they were paid.
        actions: of any symbols.
        as_of_ns: what is effective only later is not known yet.

    Raises:
        ContractError: a dividend is in another currency than the prices, or no less than the price before it.
    """
    names = spells(columns.symbol, actions)
    own = [each for each in actions if each.kind != "symbol_change" and _belongs(each, names)]
    if not own:
        return columns
    for each in own:
        if columns.currency and each.currency not in ("", columns.currency):
            what = f"dividend of {each.symbol} at {iso(each.ts_effective_ns)} is paid in {each.currency!r}"
            raise ContractError(f"{what}; allowed: the currency of its prices, {columns.currency!r}")
    split, total = factors(columns.ts_open, columns.close, own, as_of_ns=as_of_ns)
    return replace(columns, split_factor=split, return_factor=total)


def _belongs(action: CorporateAction, names: Iterable[Spell]) -> bool:
    """Whether it names the symbol as it was called then; at the moment of a change either name is right."""
    return any(
        action.symbol == spell.symbol and spell.start_ns <= action.ts_effective_ns <= spell.end_ns for spell in names
    )


def adjusted(
    columns: BarColumns, actions: Sequence[CorporateAction] = (), *, mode: Mode, as_of_ns: int = FOREVER
) -> BarColumns:
    """The bars in the prices that a user wants to see.

    "raw" leaves them as they were paid. "split" takes splits out of the prices and the volume; "total_return" takes the
    dividends out of the prices too. Turnover and trade counts stay: that much money changed hands. The factors of the
    result are what is left to do: a price times its return factor is the same in every mode, and both factors are 1 in
    "total_return", so nothing is ever taken out twice.

    Args:
        columns: as they were paid, or adjusted with `actions` left out.
        actions: of any symbols; without one of its own the factors that the bars carry count.
        mode: "raw", "split" or "total_return".
        as_of_ns: what is effective only later is not known yet.

    Raises:
        ContractError: as `with_factors`; or there is no such mode.
    """
    if mode not in MODES:
        raise ContractError(f"mode is {mode!r}; allowed: {', '.join(MODES)}")
    known = with_factors(columns, actions, as_of_ns=as_of_ns)
    if mode == "raw":
        return known
    by = known.split_factor if mode == "split" else known.return_factor
    ones = np.ones(len(known))
    prices: dict[str, Any] = {name: getattr(known, name) * by for name in (*PRICES, "vwap")}
    return replace(
        known,
        **prices,
        volume=known.volume / known.split_factor,
        split_factor=ones,
        return_factor=known.return_factor / by if mode == "split" else ones,
    )


def joined(columns_by_symbol: Mapping[str, BarColumns], actions: Sequence[CorporateAction]) -> BarColumns:
    """One history under the newest name out of the series under each name: of each the bars of its own time.

    Args:
        columns_by_symbol: of one timeframe and currency; a name without bars may be left out.
        actions: of any symbols; their symbol changes say which name came when.

    Raises:
        ContractError: there is no series, they are of different timeframes or currencies, or are not all of one thing.
    """
    names = _newest(columns_by_symbol, actions)
    newest = columns_by_symbol[names[-1].symbol]
    parts: list[BarColumns] = []
    for spell in names:
        part = columns_by_symbol.get(spell.symbol)
        if part is None:
            continue
        if (part.timeframe, part.currency) != (newest.timeframe, newest.currency):
            theirs, ours = f"{part.timeframe} in {part.currency!r}", f"{newest.timeframe} in {newest.currency!r}"
            raise ContractError(
                f"bars of {part.symbol} are {theirs}, those of {newest.symbol} {ours}; allowed: the same"
            )
        parts.append(part.between(spell.start_ns, spell.end_ns))
    arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    return replace(newest, **arrays)


def _newest(columns_by_symbol: Mapping[str, BarColumns], actions: Sequence[CorporateAction]) -> tuple[Spell, ...]:
    """The names of the one among the symbols that has borne all of them, or the last one to do so."""
    every = [spells(symbol, actions) for symbol in columns_by_symbol]
    whole = [names for names in every if {spell.symbol for spell in names} >= set(columns_by_symbol)]
    if not whole:
        raise ContractError(f"no symbol change leads through all of {', '.join(columns_by_symbol) or 'no series'}")
    return max(whole, key=lambda names: names[-1].start_ns)
