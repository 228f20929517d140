"""A year of minute bars read from journals, against others who read JSON lines; each in its own process."""

from __future__ import annotations

import gzip
import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.child import PEERS, Cost, cost_of
from bench.figures import Outcome, median, spread
from core import codec
from core.contracts import OHLCVBar
from core.contracts.moments import day_of, moment
from core.journal_files import dated_name
from core.journal_reader import JournalReader

SYMBOL, TIMEFRAME = "BTC/USDT", "1m"
ROWS = 525_600
MINUTE_NS = 60_000_000_000
START_NS = moment("2024-01-01")
JOURNAL = "ohlcv.1m.BTCUSDT"

IMPORTED, OWN, HEADED, PACKED = "imported", "own", "headed", "gz"
"""Folders: lines of nine fields, as others record them; our own; those with header; nine fields in gzip."""

PLAIN = "json and a plain dataclass"
FIELDS = ("symbol", "timeframe", "ts_open", "ts_close", "open", "high", "low", "close", "volume")


def measure(folder: Path, rounds: int) -> Outcome:
    """Lines per second of the processor, the same bars for all; what of it is read is dropped at once."""
    _write(folder)
    taken: dict[str, list[Cost]] = {name: [] for name in WORKS}
    for _ in range(rounds):
        for name, costs in taken.items():
            costs.append(cost_of("bench.reader", name, folder, [IMPORTS[name]] if name in IMPORTS else []))
    outcome = Outcome()
    for name, costs in taken.items():
        ratios = [plain.cpu_s / cost.cpu_s for cost, plain in zip(costs, taken[PLAIN], strict=True)]
        rate = ROWS / median([cost.cpu_s for cost in costs])
        if name == PLAIN:
            outcome.add(name, rate, "1/s", note=_peak(costs))
        else:
            note = f"{_peak(costs)}; {spread(ratios)}"
            outcome.add(
                name, rate, "1/s", ratio=median(ratios), against=PLAIN, target=TARGETS.get(name, ""), note=note
            )  # fmt: skip
    size = (folder / IMPORTED / f"{JOURNAL}.ndjson").stat().st_size
    outcome.remarks.append(f"{ROWS:,} lines, {size / 1e6:.0f} MB of nine fields; peak memory over the imports")
    return outcome


def _peak(costs: list[Cost]) -> str:
    return f"peak {median([cost.peak_mb for cost in costs]):.0f} MB"


def _write(folder: Path) -> None:
    """The same year in all forms, from a walk that is the same each time."""
    for name in (IMPORTED, OWN, HEADED, PACKED):
        (folder / name).mkdir()
    bars = list(_bars())
    nine = [_nine(bar) for bar in bars]
    _put(folder / IMPORTED, nine)
    _put(folder / OWN, map(codec.encode, bars))
    _put(folder / HEADED, (codec.line_of(_header(seq), codec.encode(bar)) for seq, bar in enumerate(bars, 1)))
    for first in range(0, ROWS, 1440):
        path = folder / PACKED / (dated_name(JOURNAL, day_of(bars[first].ts_open), 0) + ".gz")
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in nine[first : first + 1440]), 6))


def _put(folder: Path, lines: Iterable[bytes]) -> None:
    with (folder / f"{JOURNAL}.ndjson").open("wb") as file:
        file.writelines(line + b"\n" for line in lines)


def _bars() -> Iterator[OHLCVBar]:
    close = 60_000.0
    for number in range(ROWS):
        first, close = close, round(60_000 + 900 * math.sin(number / 5_000) + 7 * math.sin(number * 1.7), 2)
        high, low = round(max(first, close) + number % 13 / 7, 2), round(min(first, close) - number % 11 / 7, 2)
        ts_open, volume = START_NS + number * MINUTE_NS, round(number % 977 / 31, 5)
        yield OHLCVBar(
            SYMBOL, TIMEFRAME, ts_open, ts_open + MINUTE_NS, first, high, low, close, volume, turnover=volume * close,
            trade_count=number % 977, currency="USDT",
        )  # fmt: skip


def _nine(bar: OHLCVBar) -> bytes:
    return json.dumps({name: getattr(bar, name) for name in FIELDS}, separators=(",", ":")).encode()


def _header(seq: int) -> codec.Header:
    ts, src = START_NS + seq * MINUTE_NS, "ohlcv_aggregator.main"
    return codec.Header(seq * 10, ts, seq * 10 - 10, src, seq * 10 - 1, seq, ts, "OHLCVBar", 1, seq, 0)


# -- the works


@dataclass(slots=True)
class _Plain:
    symbol: str
    timeframe: str
    ts_open: int
    ts_close: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def _json(folder: Path) -> None:
    with (folder / IMPORTED / f"{JOURNAL}.ndjson").open("rb") as file:
        deque((_Plain(**json.loads(line)) for line in file), maxlen=0)


def _arrow(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    kinds = [pa.string()] * 2 + [pa.int64()] * 2 + [pa.float64()] * 5
    options = arrow_json.ParseOptions(explicit_schema=pa.schema(list(zip(FIELDS, kinds, strict=True))))
    read = arrow_json.ReadOptions(use_threads=False)
    table = arrow_json.read_json(folder / IMPORTED / f"{JOURNAL}.ndjson", read_options=read, parse_options=options)
    assert table.num_rows == ROWS


def _polars(folder: Path) -> None:
    import polars as pl

    kinds = [pl.String] * 2 + [pl.Int64] * 2 + [pl.Float64] * 5
    schema = dict(zip(FIELDS, kinds, strict=True))
    assert len(pl.read_ndjson(folder / IMPORTED / f"{JOURNAL}.ndjson", schema=schema)) == ROWS


def _bars_of(name: str) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        deque(JournalReader(folder / name).read_bars(SYMBOL, TIMEFRAME), maxlen=0)

    return work


def _rows_of(name: str) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        deque(JournalReader(folder / name).scan_bars(SYMBOL, TIMEFRAME), maxlen=0)

    return work


WORKS: dict[str, Callable[[Path], Any]] = {
    PLAIN: _json,
    "pyarrow.json, one thread": _arrow,
    "events, nine fields": _bars_of(IMPORTED),
    "events, own lines": _bars_of(OWN),
    "events, own lines with header": _bars_of(HEADED),
    "events, nine fields, gz of 365 days": _bars_of(PACKED),
    "rows, nine fields": _rows_of(IMPORTED),
    "rows, own lines": _rows_of(OWN),
    "rows, own lines with header": _rows_of(HEADED),
    "rows, nine fields, gz of 365 days": _rows_of(PACKED),
}
IMPORTS = {"pyarrow.json, one thread": "pyarrow.json"}
TARGETS = {"rows, nine fields": ">= 8"}
if (PEERS / "polars").exists():
    WORKS["polars"], IMPORTS["polars"] = _polars, "polars"
