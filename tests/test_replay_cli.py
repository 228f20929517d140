"""The command line of a replay, where its data come from, and what it says when there are none."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import structlog

from apps.replay_engine import main as replay
from apps.replay_engine.options import command_line, wanted_by
from apps.replay_engine.summary import described, progress
from core import codec, topics
from core.config import load_config
from core.config_places import elsewhere
from core.config_sections import App
from core.contracts import OHLCVBar, TradeEvent, TradeGap
from core.contracts.moments import moment
from core.data_source import DataSourceBase, Series
from core.data_source_files import DatasetsSource, JournalSource
from core.errors import ConfigError, DataError
from core.market.replay import Record
from core.replay_data import Wanted, torn, tracks
from core.runtime.replayer import Tally
from tests.installation import ROOT

DAY = moment("2025-09-01")
MINUTE = 60_000_000_000
ATOM = "ATOM/USDT"
BASE = ("--symbol", ATOM, "--start", "2025-09-01", "--end", "2025-09-30")


def parsed(*arguments):
    return command_line("about").parse_args(list(arguments))


# -- what the options mean


def test_the_documented_line_is_understood():
    """Symbol, length, range and speed as they are written in the guide; the end is exclusive to the second."""
    args = parsed(
        "--symbol", ATOM, "--timeframe", "1m", "--start", "2025-09-01T00:00:00Z", "--end", "2025-09-30T23:59:59Z",
        "--speed", "10x",
    )  # fmt: skip
    assert args.speed == 10.0
    assert wanted_by(args) == Wanted(("bars",), (ATOM,), ("1m",), DAY, moment("2025-09-30T23:59:59Z"))


@pytest.mark.parametrize(("text", "speed"), [("1x", 1.0), ("100x", 100.0), ("2.5", 2.5), ("max", None)])
def test_speeds(text, speed):
    """A number above 0, with or without an x, or max."""
    assert parsed(*BASE, "--speed", text).speed == speed


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (BASE, Wanted(("bars",), (ATOM,), ("1m",), DAY, DAY + 30 * 1440 * MINUTE)),
        (
            (*BASE, "--timeframe", "5m", "--timeframe", "1h", "--timeframe", "5m"),
            Wanted(("bars",), (ATOM,), ("5m", "1h"), DAY, DAY + 30 * 1440 * MINUTE),
        ),
        (
            (*BASE, "--symbol", "BTC/USDT", "--topics", "ticker, book,trades"),
            Wanted(("trades", "books", "tickers"), (ATOM, "BTC/USDT"), (), DAY, DAY + 30 * 1440 * MINUTE),
        ),
        (
            ("--symbol", ATOM, "--start", "2025-09-01T02:00:00+02:00", "--end", "2025-09-01T00:00:00.5"),
            Wanted(("bars",), (ATOM,), ("1m",), DAY, DAY + 500_000_000),
        ),
    ],
)
def test_what_is_asked_for(arguments, wanted):
    """Each thing once, symbols and lengths in their order, kinds in that of the replay; a date as the end is a day."""
    assert wanted_by(parsed(*arguments)) == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["--symbol", "--start", "--end"]),
        ((*BASE, "--timeframe", "7m"), ["'7m'", "1m, 5m, 15m, 1h"]),
        ((*BASE, "--timeframe", "minute"), ["'minute'", "allowed"]),
        (("--symbol", ATOM, "--start", "yesterday", "--end", "2025-09-30"), ["--start", "'yesterday'", "2025-09-30"]),
        (("--symbol", ATOM, "--start", "2025-09-01", "--end", "30.9.2025"), ["--end", "'30.9.2025'", "allowed"]),
        ((*BASE, "--speed", "0"), ["--speed", "'0'", "max"]),
        ((*BASE, "--speed=-3x"), ["--speed", "max"]),
        ((*BASE, "--speed", "fast"), ["'fast'", "max"]),
        ((*BASE, "--topics", "bars,fills"), ["'fills'", "bars, trades, book, ticker"]),
        ((*BASE, "--source", "x", "--from", "."), ["not allowed with"]),
        ((*BASE, "--cell", "x", "--redis-url", "redis://h"), ["not allowed with"]),
        ((*BASE, "--spee", "1x"), ["--spee"]),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_says_what_is_allowed(arguments, said, capsys):
    """Each mistake alone names the option, the value and what is allowed."""
    with pytest.raises(SystemExit) as ended:
        parsed(*arguments)
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    for part in said:
        assert part in complaint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--symbol", ATOM, "--start", "2025-09-02", "--end", "2025-09-01"), "--end is '2025-09-01'; allowed: a time"),
        ((*BASE, "--topics", "trades", "--timeframe", "1m"), "--timeframe is 1m; allowed: only with bars"),
    ],
)
def test_options_that_do_not_fit_together(arguments, said):
    """An end before the start, and a length of what has none."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        wanted_by(parsed(*arguments))


def test_the_help_names_every_option_and_shows_examples_that_are_understood(capsys):
    """Every line of the examples is one that the command takes."""
    with pytest.raises(SystemExit) as ended:
        parsed("--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in (
        "--symbol",
        "--timeframe",
        "--start",
        "--end",
        "--speed",
        "--topics",
        "--source",
        "--from",
        "--cell",
    ):
        assert option in shown
    commands = re.findall(r"^ +python -m apps\.replay_engine ((?:.*\\\n)*.*)", shown, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        wanted_by(parsed(*command.replace("\\\n", " ").split()))


# -- where it publishes


def test_another_cell_has_folders_of_its_own():
    """Journals, log and locks lie where the replay profile puts those of the services of that cell."""
    home, there = load_config(ROOT, environ={}), load_config(ROOT, "replay", environ={})
    moved = elsewhere(home, cell="replay")
    assert moved.redis == there.redis
    for key in ("journal_dir", "log_dir", "run_dir"):
        assert getattr(moved.paths, key) == getattr(there.paths, key) != getattr(home.paths, key)
    assert moved.paths.history_dir == home.paths.history_dir
    named = load_config(ROOT, "replay", environ={"REPLAY_CELL": "september"})
    assert elsewhere(home, cell="september").paths.journal_dir == named.paths.journal_dir
    assert elsewhere(there, cell="replay") is there


def test_another_server_has_folders_of_its_own():
    """Under the name of the cell, or "replay" where that has none."""
    home = load_config(ROOT, environ={})
    moved = elsewhere(home, url="redis://other:6379/0")
    assert (moved.redis.url, moved.redis.cell) == ("redis://other:6379/0", "")
    assert moved.paths.journal_dir == home.paths.journal_dir / "replay"
    assert elsewhere(home, url=home.redis.url) is home


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"cell": "a/b"}, "--cell is 'a/b'"),
        ({"cell": ".."}, "--cell is '..'"),
        ({"url": "http://:s3cret@x"}, "--redis-url; allowed: redis://"),
    ],
)
def test_a_place_that_is_none(place, said):
    """The value and what is allowed; no password."""
    with pytest.raises(ConfigError) as refused:
        elsewhere(load_config(ROOT, environ={}), **place)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


# -- where the data come from


def bar(at, timeframe="1m", close=1.0):
    length = {"1m": 1, "5m": 5}[timeframe] * MINUTE
    opened = DAY + at * length
    return OHLCVBar(ATOM, timeframe, opened, opened + length, close, close, close, close, 1.0)


def written(folder: Path, name: str, *bodies: bytes) -> JournalSource:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.20250901.ndjson").write_bytes(b"".join(body + b"\n" for body in bodies))
    return JournalSource(folder)


def wanted(*kinds, timeframes=("1m",), minutes=60):
    return Wanted(kinds, (ATOM,), timeframes if "bars" in kinds else (), DAY, DAY + minutes * MINUTE)


def found(sources, what) -> list[list[Record]]:
    return [list(track.records()) for track in tracks(sources, what)]


OLD = (
    b'{"symbol":"ATOM/USDT","timeframe":"1m","ts_open":%d,"ts_close":%d,'
    b'"open":1,"high":1.00,"low":1,"close":1.0,"volume":2}'
)
"""A bar as an older version, or another program, has written it: fewer fields, other spellings of the same numbers."""


def old(at):
    return OLD % (DAY + at * MINUTE, DAY + (at + 1) * MINUTE)


def test_a_journal_is_given_as_it_stands(tmp_path):
    """Byte for byte, only the range, with the time at which each bar opens."""
    source = written(tmp_path, "ohlcv.1m.ATOMUSDT", *(old(at) for at in range(5)))
    assert found({"a": source}, wanted("bars", minutes=3)) == [[(DAY + at * MINUTE, old(at)) for at in range(3)]]


def test_of_two_sources_the_first_counts_and_the_second_fills_up(tmp_path):
    """Minutes 0 to 2 are in the first, 2 to 4 in a dataset of the second: minute 2 comes from the first."""
    first = written(tmp_path / "a", "ohlcv.1m.ATOMUSDT", *(old(at) for at in range(3)))
    written(tmp_path / "sets" / "b", "ohlcv.1m.ATOMUSDT", *(codec.encode(bar(at)) for at in range(2, 5)))
    sources = {"a": first, "b": DatasetsSource(tmp_path / "sets")}
    expected = [old(at) for at in range(3)] + [codec.encode(bar(at)) for at in (3, 4)]
    assert [body for _, body in found(sources, wanted("bars"))[0]] == expected


def test_bars_that_nobody_has_are_made_of_shorter_ones(tmp_path):
    """Ten minutes are two bars of five; their volumes are the sums."""
    source = written(tmp_path, "ohlcv.1m.ATOMUSDT", *(codec.encode(bar(at)) for at in range(10)))
    (made,) = found({"a": source}, wanted("bars", timeframes=("5m",)))
    volumes = [codec.decode(body, OHLCVBar).volume for _, body in made]
    assert ([ts for ts, _ in made], volumes) == ([DAY, DAY + 5 * MINUTE], [5.0, 5.0])


def test_bars_of_another_day_are_no_reason_not_to_make_them(tmp_path):
    """There are bars of five minutes of the day before: those of this day are made of its minutes."""
    before = written(tmp_path / "a", "ohlcv.5m.ATOMUSDT", codec.encode(bar(-3, "5m")))
    source = written(tmp_path / "b", "ohlcv.1m.ATOMUSDT", *(codec.encode(bar(at)) for at in range(5)))
    (made,) = found({"a": before, "b": source}, wanted("bars", timeframes=("5m",)))
    assert [ts for ts, _ in made] == [DAY]


class Mine(DataSourceBase):
    """A source of somebody's own, without any journal."""

    def series(self):
        return [Series("trades", ATOM, "", DAY, DAY + MINUTE)]

    def trades(self, symbol, start_ns, end_ns):
        yield TradeEvent(symbol, 1.0, 2.0, "buy", start_ns + 5, "1")


def test_a_source_of_ones_own_is_encoded():
    """What is no journal has no bytes: its events are written as they would be live."""
    assert found({"mine": Mine()}, wanted("trades")) == [
        [(DAY + 5, codec.encode(TradeEvent(ATOM, 1.0, 2.0, "buy", DAY + 5, "1")))]
    ]


def test_a_torn_last_line_is_left_out_and_told(tmp_path):
    """What a crash has cut off, or is being written now: the lines before it are given, and the summary names it."""
    sources = {"a": written(tmp_path, "ohlcv.1m.ATOMUSDT", old(0), old(1))}
    with (tmp_path / "ohlcv.1m.ATOMUSDT.20250901.ndjson").open("ab") as file:
        file.write(old(2)[:40])
    assert [body for _, body in found(sources, wanted("bars"))[0]] == [old(0), old(1)]
    said = described(Tally(finished=True), wanted("bars"), torn(sources))
    assert said[-1].endswith("ohlcv.1m.ATOMUSDT.20250901.ndjson:3, a last line without its end")


def test_gaps_come_with_the_trades(tmp_path):
    """A hole that the session knew of is told again, so that its bars are incomplete again."""
    trade = codec.encode(TradeEvent(ATOM, 1.0, 1.0, "buy", DAY + 9, "7"))
    gap = codec.encode(TradeGap(ATOM, DAY, DAY + 9, 6, "outage"))
    written(tmp_path, "md.gaps.ATOMUSDT", gap)
    source = written(tmp_path, "md.trades.ATOMUSDT", trade)
    kinds = [track.kind for track in tracks({"a": source}, wanted("trades"))]
    assert kinds == [topics.MD_TRADES, topics.MD_GAPS]
    assert found({"a": source}, wanted("trades")) == [[(DAY + 9, trade)], [(DAY + 9, gap)]]


def test_no_data_says_what_was_searched_what_is_nearest_and_how_to_get_it(tmp_path):
    """For bars the command that fetches them; for others what there is of the symbol."""
    source = written(tmp_path, "ohlcv.1m.ATOMUSDT", *(codec.encode(bar(at)) for at in range(10)))
    late = Wanted(("bars",), (ATOM,), ("1m",), DAY + 86_400_000_000_000, DAY + 2 * 86_400_000_000_000)
    with pytest.raises(DataError) as refused:
        tracks({"recorded": source}, late)
    said = str(refused.value)
    for part in ("1m bars of ATOM/USDT", "searched recorded", "2025-09-01T00:09:00Z", "--start 2025-09-02"):
        assert part in said
    assert "python -m backtest.data download --symbol ATOM/USDT --timeframe 1m" in said
    with pytest.raises(DataError, match=r"best prices of ATOM/USDT from .*\n.*none of this symbol"):
        tracks({"recorded": source}, wanted("tickers"))


# -- the whole command, as far as it needs no server


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An installation without a server, and nothing of the environment."""
    for name in list(os.environ):
        if name.startswith(("NJORD", "REDIS", "REPLAY")):
            monkeypatch.delenv(name)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    yield tmp_path
    structlog.reset_defaults()  # the command has set up its log for good


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--symbol", "DOGE/USDT"), 2, ["--symbol is 'DOGE/USDT'", "BTC/USDT, ETH/USDT, ATOM/USDT"]),
        (("--symbol", ATOM, "--source", "histori"), 2, ["histori", "history"]),
        (("--symbol", ATOM, "--from", "/none"), 2, ["--from is '/none'", "a folder of journals"]),
        (("--symbol", ATOM, "--cell", "a/b"), 2, ["--cell is 'a/b'"]),
        (("--symbol", ATOM, "--source", "recorded"), 2, ["keeps its own journals", "--cell NAME"]),
        (("--symbol", ATOM), 1, ["1m bars of ATOM/USDT", "searched history", "python -m backtest.data download"]),
    ],
)
def test_what_ends_the_command(home, capsys, arguments, code, said):
    """Exit code and last words; nothing has been published, nobody was asked."""
    given = ["--config-root", str(home), *arguments, "--start", "2025-09-01", "--end", "2025-09-02"]
    assert replay.main(given) == code
    complaint = capsys.readouterr().err
    for part in said:
        assert part in complaint


def test_live_money_is_refused():
    """Where orders are for real a replay has nothing to say, unless it is told where else."""
    live = load_config(ROOT, environ={}).model_copy(update={"app": App(env="live")})
    with pytest.raises(ConfigError, match=r"app\.env is 'live'.*--cell NAME"):
        replay.placed(live, parsed(*BASE))
    assert replay.placed(live, parsed(*BASE, "--cell", "replay")).redis.cell == "replay"


# -- the summary


def test_the_summary():
    """Lines per channel, the span of market time, wall time and rate; and whether it was the end."""
    tally = Tally(first_ns=DAY, last_ns=DAY + MINUTE, wall_s=2.0, finished=True)
    tally.lines.update({"md.ohlcv.1m.ATOM/USDT": 1500, "clock.market.ATOM/USDT": 1500})
    asked = Wanted(("bars",), (ATOM,), ("1m",), DAY, DAY + 1500 * MINUTE)
    assert described(tally, asked) == [
        "  clock.market.ATOM/USDT                 1,500",
        "  md.ohlcv.1m.ATOM/USDT                  1,500",
        "market time: 2025-09-01T00:00:00Z to 2025-09-01T00:01:00Z",
        "3,000 lines in 2.0 s, 1,500 a second",
    ]
    again = described(Tally(before=3000, wall_s=0.1, finished=True), asked)
    assert again == ["3,000 lines had been published before", "0 lines in 0.1 s"]
    assert "the same command goes on" in described(Tally(), asked)[-1]


def test_bars_that_were_not_there_are_told():
    """Of 31 days of minutes 65 were stored: what was played is no month, and the summary says so."""
    tally = Tally(first_ns=DAY, last_ns=DAY + MINUTE, wall_s=2.0, finished=True)
    tally.lines.update({"md.ohlcv.1m.ATOM/USDT": 65, "md.ohlcv.1h.ATOM/USDT": 744})
    asked = Wanted(("bars",), (ATOM,), ("1m", "1h"), DAY + 1, DAY + 31 * 1440 * MINUTE + 1)  # the first opens later
    assert described(tally, asked)[-1] == (
        "missing: 44,575 of 44,640 bars of ATOM/USDT 1m; "
        "python -m backtest.data check --symbol ATOM/USDT --timeframe 1m says which"
    )


def test_a_long_replay_says_how_far_it_is():
    """Market time, share of the range, lines; also before the first line is due."""
    asked = Wanted(("bars",), (ATOM,), ("1m",), DAY, DAY + 4 * 1440 * MINUTE)
    tally = Tally(first_ns=DAY, last_ns=DAY + 1440 * MINUTE + 5)
    tally.lines.update({"md.ohlcv.1m.ATOM/USDT": 1440})
    assert progress(tally, asked) == "2025-09-02T00:00:00Z (25%), 1,440 lines"
    assert progress(Tally(), asked) == "nothing was due yet (0%), 0 lines"
