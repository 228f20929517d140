"""History that is played to whoever listens, bar by bar: the same events as a live market publishes.

service = DataService(lambda event: kernel.feed("data", [event]), load_config("."))
service.load_data("AAPL/USD", "2020-01-02", "2020-12-31", warmup=50, adjust="split")
service.stream()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from itertools import chain

import numpy as np

from backtest.data.adjust import MODES, Mode, Spell, adjusted, joined, spells
from backtest.data.columns import BarColumns
from backtest.data.source_columns import source_columns
from core.config import Config
from core.config_errors import did_you_mean
from core.contracts import CorporateAction, Event, OHLCVBar, iso, moment, period, timeframe_ns
from core.contracts.moments import FOREVER
from core.data_source_loading import load_sources
from core.errors import ConfigError, DataError
from core.market.merge import merged

When = str | date | int
"""A date or a time: as a text, as Python's own, UTC unless it says otherwise, or as ns UTC."""

_AMOUNTS = Context(prec=28)
"""Of dividends per adjusted unit; one of its own, because a process may have set its decimals."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One series that is ready to be streamed.

    Attributes:
        symbol: ccxt unified symbol.
        timeframe: of its bars.
        bars: those to be streamed.
        warmup: those before them, oldest first; fewer than were asked for where history has no more.
        actions: corporate actions to be published with the bars, rising.
    """

    symbol: str
    timeframe: str
    bars: BarColumns
    warmup: BarColumns
    actions: tuple[CorporateAction, ...]

    def due(self, ts_open: int) -> Sequence[CorporateAction]:
        """Actions that are effective at a bar and were not at the bar before."""
        if not self.actions:
            return ()
        before = int(np.searchsorted(self.bars.ts_open, ts_open)) - 1
        since_ns = int(self.bars.ts_open[before]) if before >= 0 else -1
        return [each for each in self.actions if since_ns < each.ts_effective_ns <= ts_open]


class DataService:
    """Loads bars from the configured sources and publishes them in one order that never changes."""

    def __init__(self, publish: Callable[[Event], object], config: Config) -> None:
        """
        Args:
            publish: gets every event; `Kernel.feed` or a bus behind a function of one argument.
            config: names the sources; see `config/data_sources.yaml`.

        Raises:
            ConfigError: a source cannot be used.
        """
        self._publish = publish
        self._sources = load_sources(config)
        self._loaded: dict[tuple[str, str], Loaded] = {}

    def load_data(
        self,
        symbol: str | Iterable[str],
        start_date: When,
        end_date: When | None = None,
        timeframe: str = "1d",
        *,
        warmup: int = 0,
        adjust: Mode = "raw",
    ) -> tuple[Loaded, ...]:
        """Get one or more symbols ready; a series that was loaded before is replaced and keeps its place in the order.

        "raw" publishes prices as they were paid, and every corporate action. "split" has splits taken out of prices and
        volumes, and publishes dividends per unit as units are counted after all splits. "total_return" has dividends
        taken out too and publishes neither. What the issuer did later than a bar is in its adjusted prices: for
        signals that is what one wants, for the size of an order it is not. Of a symbol that was renamed the history
        under its earlier names comes first.

        Args:
            symbol: ccxt unified symbol, or several, in the order in which bars of one time are published.
            start_date: of the first bar.
            end_date: behind the last bar; as a day it belongs to the range. All there is without.
            timeframe: of the bars.
            warmup: how many bars before the start are given apart; see `warmup_bars`.
            adjust: "raw", "split" or "total_return".

        Returns:
            What was loaded, in the order asked for.

        Raises:
            ConfigError: `warmup` or `adjust` is none.
            ContractError: the timeframe or a date is none; or as `backtest.data.adjust.adjusted`.
            DataError: there is no bar of a symbol in the range; says what was searched and how to fetch it.
        """
        if adjust not in MODES:
            raise ConfigError(f"adjust is {adjust!r}; {did_you_mean(adjust, MODES)}")
        if warmup < 0:
            raise ConfigError(f"warmup is {warmup}; allowed: 0 or more")
        start_ns, end_ns = _range(start_date, end_date)
        names = [symbol] if isinstance(symbol, str) else list(symbol)
        made = tuple(self._load(name, timeframe, (start_ns, end_ns), warmup, adjust) for name in names)
        self._loaded |= {(each.symbol, each.timeframe): each for each in made}
        return made

    def warmup_bars(self, symbol: str, timeframe: str = "1d") -> tuple[OHLCVBar, ...]:
        """The bars before the start of a loaded series, oldest first; they are never published.

        Raises:
            ConfigError: the series is not loaded.
        """
        found = self._loaded.get((symbol, timeframe))
        if found is None:
            known = [" ".join(each) for each in self._loaded]
            raise ConfigError(f"{symbol} {timeframe} is not loaded; {did_you_mean(f'{symbol} {timeframe}', known)}")
        return tuple(found.warmup.bars())

    def stream_bar(self, when: When) -> int:
        """Publish all bars that open at a time, each behind the corporate actions that are effective from it.

        Shorter bars come first, then the order of loading counts; no other call matters. Returns how many events.

        Raises:
            ContractError: it is no time.
        """
        at_ns = moment(_text(when), "when")
        tell = self._teller()
        count = 0
        for each in sorted(self._loaded.values(), key=_length_ns):
            for bar in each.bars.between(at_ns, at_ns + 1).bars():
                count += tell(each, bar)
        return count

    def stream(self) -> int:
        """Publish everything: by the time at which a bar has ended and is known, then by the order of loading.

        Returns how many events.
        """
        tell = self._teller()
        streams = [_paired(each) for each in self._loaded.values()]
        return sum(tell(each, bar) for each, bar in merged(streams, lambda pair: pair[1].ts_close))

    def _teller(self) -> Callable[[Loaded, OHLCVBar], int]:
        """Publishes a bar behind what is due before it: a symbol's actions come with its shortest bars, once."""
        heralds = {each.symbol: each for each in sorted(self._loaded.values(), key=_length_ns, reverse=True)}
        publish = self._publish

        def tell(loaded: Loaded, bar: OHLCVBar) -> int:
            actions = loaded.due(bar.ts_open) if heralds[loaded.symbol] is loaded else ()
            for action in actions:
                publish(action)
            publish(bar)
            return len(actions) + 1

        return tell

    def _load(self, symbol: str, timeframe: str, span: tuple[int, int], warmup: int, adjust: Mode) -> Loaded:
        start_ns, end_ns = span
        actions = self._actions(symbol)
        names = spells(symbol, actions)
        first_ns = self._warm_from(names, timeframe, start_ns, warmup)
        found = adjusted(self._columns(names, timeframe, (first_ns, end_ns), actions), actions, mode=adjust)
        at = int(np.searchsorted(found.ts_open, start_ns))
        if at == len(found):
            raise DataError(self._sources.explain(symbol, timeframe, start_ns, end_ns))
        ended = int(np.searchsorted(found.ts_close, start_ns, "right"))
        told = _told(_own(names, actions), adjust)
        inside = tuple(each for each in told if start_ns <= each.ts_effective_ns < end_ns)
        warm = found[max(0, ended - warmup) : ended]
        return Loaded(symbol, timeframe, found[at:], warm, inside)

    def _actions(self, symbol: str) -> tuple[CorporateAction, ...]:
        """What all issuers have done: a renamed one's earlier names stand in the actions of those names."""
        series = chain.from_iterable(self._sources.source(name).series() for name in self._sources.names)
        symbols = {symbol, *(each.symbol for each in series if each.kind == "actions")}
        return tuple(chain.from_iterable(self._sources.actions(each) for each in sorted(symbols)))

    def _warm_from(self, names: tuple[Spell, ...], timeframe: str, start_ns: int, count: int) -> int:
        """When the first of the newest bars before a start opens; the start where there are none."""
        first_ns = start_ns
        for spell in reversed(names):
            before_ns = min(start_ns, spell.end_ns)
            bars = self._sources.last_bars(spell.symbol, timeframe, before_ns, count)
            own = [bar for bar in bars if bar.ts_open >= spell.start_ns]
            first_ns = own[0].ts_open if own else first_ns
            count -= len(own)
        return first_ns

    def _columns(
        self, names: tuple[Spell, ...], timeframe: str, span: tuple[int, int], actions: tuple[CorporateAction, ...]
    ) -> BarColumns:
        """The bars under each name of a symbol, as one series of the last one."""
        parts = {
            spell.symbol: source_columns(
                self._sources, spell.symbol, timeframe, max(span[0], spell.start_ns), min(span[1], spell.end_ns)
            )
            for spell in names
        }
        last = names[-1].symbol
        own = {name: part for name, part in parts.items() if len(part) or name == last}
        return joined(own, actions) if len(own) > 1 else own[last]


def _length_ns(loaded: Loaded) -> int:
    return timeframe_ns(loaded.timeframe)


def _paired(loaded: Loaded) -> Iterator[tuple[Loaded, OHLCVBar]]:
    return ((loaded, bar) for bar in loaded.bars.bars())


def _own(names: tuple[Spell, ...], actions: Iterable[CorporateAction]) -> list[CorporateAction]:
    """What was done to one history, under its last name; of new names only one that ends it."""
    last = names[-1].symbol
    return [
        replace(each, symbol=last)
        for each in actions
        for spell in names
        if each.symbol == spell.symbol
        and (each.kind != "symbol_change" or each.symbol == last)
        and spell.start_ns <= each.ts_effective_ns < spell.end_ns
    ]


def _told(own: list[CorporateAction], adjust: Mode) -> list[CorporateAction]:
    """What is left to be told of actions beside prices that have some of them taken out, rising by time."""
    splits = [each for each in own if each.kind == "split"]
    told: list[CorporateAction] = []
    for each in sorted(own, key=lambda each: each.ts_effective_ns):
        if adjust == "raw" or each.kind == "symbol_change":
            told.append(each)
        elif adjust == "split" and each.kind == "dividend":
            units = Fraction(1)
            for split in splits:
                units *= Fraction(split.ratio) if split.ts_effective_ns >= each.ts_effective_ns else 1
            per_unit = _AMOUNTS.divide(
                _AMOUNTS.multiply(each.amount, Decimal(units.denominator)), Decimal(units.numerator)
            )
            told.append(replace(each, amount=per_unit))
    return told


def _range(start: When, end: When | None) -> tuple[int, int]:
    """Half open, ns UTC."""
    if end is None:
        return moment(_text(start), "start_date"), FOREVER
    return period(_text(start), _text(end))


def _text(when: When) -> str:
    if isinstance(when, str):
        return when
    return when.isoformat() if isinstance(when, date) else iso(when)
