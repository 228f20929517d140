"""What was downloaded into a dataset, and where the venue itself has nothing: `downloads.json`.

It can be deleted: the data are not in it. What the venue does not have is asked for once more then, and `update` knows
nothing to go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from backtest.data.day_files import only_writer, write_whole
from backtest.data.download.spans import Span, merged, without
from core import codec
from core.errors import ContractError, DataError

FILE = "downloads.json"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Time of which all trades are on the disk.

    Attributes:
        start_ns: its start, ns UTC.
        end_ns: its end, exclusive.
        next_id: number of the trade to go on with behind it; -1 where trades are not numbered.
    """

    start_ns: int
    end_ns: int
    next_id: int = -1


@dataclass(frozen=True, slots=True)
class Downloaded:
    """One series that was downloaded.

    Attributes:
        symbol: ccxt unified.
        timeframe: of its bars; empty for trades.
        venue: where from, an id of ccxt's.
        endpoint: another host that stood for the venue; empty for its own.
        start_ns: from where on it was asked for, ns UTC.
        empty: of bars: where the venue has none.
        done: of trades: what has been asked for to the end.
    """

    symbol: str
    timeframe: str
    venue: str
    endpoint: str
    start_ns: int
    empty: tuple[Span, ...] = ()
    done: tuple[Stretch, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What there is one of in a dataset."""
        return self.symbol, self.timeframe

    def next_id(self, start_ns: int) -> int:
        """Number of the trade with which a range goes on; -1 where it is not known."""
        return next((each.next_id for each in self.done if each.end_ns == start_ns), -1)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All series that were downloaded into a dataset."""

    series: tuple[Downloaded, ...] = ()

    def of(self, symbol: str, timeframe: str) -> Downloaded | None:
        """One of them; None if it never was."""
        return next((each for each in self.series if each.key == (symbol, timeframe)), None)


def read_ledger(folder: Path) -> Ledger:
    """The ledger of a dataset's folder; an empty one where there is none.

    Raises:
        DataError: the file is broken.
    """
    path = folder / FILE
    try:
        return codec.convert(codec.decode_json(path.read_bytes()), Ledger)
    except FileNotFoundError:
        return Ledger()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    except ContractError as error:
        raise DataError(f"{path}: {error}; it can be deleted, the data are not in it") from None


class Notes:
    """The entry of one series, changed on the disk at once."""

    def __init__(self, folder: Path, like: Downloaded) -> None:
        """
        Args:
            folder: of the dataset.
            like: what is asked for now; the first entry looks like it.

        Raises:
            DataError: the series was downloaded from another venue.
        """
        self._folder = folder
        known = read_ledger(folder).of(like.symbol, like.timeframe)
        if known is not None and known.venue != like.venue:
            raise DataError(
                f"{like.symbol} {like.timeframe or 'trades'} of dataset {folder.name!r} come from {known.venue!r}, not"
                f" {like.venue!r}; use a --dataset per venue"
            )
        self.entry = like if known is None else known
        self._like = like

    def begin(self) -> None:
        """Remember that the series is wanted, and from where on."""
        like = self._like
        self._change(lambda entry: replace(entry, start_ns=min(entry.start_ns, like.start_ns), endpoint=like.endpoint))

    def forget(self, span: Span) -> None:
        """Know nothing of a range any more."""

        def forgotten(entry: Downloaded) -> Downloaded:
            return replace(entry, empty=without(entry.empty, [span]), done=_cut(entry.done, span))

        self._change(forgotten)

    def add_empty(self, spans: Iterable[Span]) -> None:
        """Where the venue has no bars."""
        found = tuple(spans)
        if found:
            self._change(lambda entry: replace(entry, empty=merged((*entry.empty, *found))))

    def add_done(self, stretch: Stretch) -> None:
        """All trades of a stretch are on the disk."""
        self._change(lambda entry: replace(entry, done=_joined((*entry.done, stretch))))

    def _change(self, change: Callable[[Downloaded], Downloaded]) -> None:
        with only_writer(self._folder):
            ledger = read_ledger(self._folder)
            self.entry = change(ledger.of(self._like.symbol, self._like.timeframe) or self.entry)
            others = [each for each in ledger.series if each.key != self.entry.key]
            series = tuple(sorted((*others, self.entry), key=lambda each: each.key))
            write_whole(self._folder / FILE, codec.encode_pretty(Ledger(series)))


def _joined(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    made: list[Stretch] = []
    for each in sorted(stretches, key=lambda one: (one.start_ns, one.end_ns)):
        last = made[-1] if made else None
        if last is None or each.start_ns > last.end_ns:
            made.append(each)
        elif each.end_ns > last.end_ns:
            made[-1] = replace(each, start_ns=last.start_ns)
    return tuple(made)


def _cut(stretches: Iterable[Stretch], span: Span) -> tuple[Stretch, ...]:
    left = []
    for each in stretches:
        for start, end in without([(each.start_ns, each.end_ns)], [span]):
            left.append(Stretch(start, end, each.next_id if end == each.end_ns else -1))
    return tuple(left)
