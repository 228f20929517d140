"""The parts of `make run` that need no process: what is put aside, what is shown, what is counted."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from apps.run.alerts import Alerts
from apps.run.archive import Note, prepare, read_note, write_note
from apps.run.daemon import Daemon
from apps.run.main import _parser, _report, plan_of
from apps.run.market import started_at
from apps.run.picture import Picture, Row
from apps.run.screen import draw
from apps.run.server import Server
from apps.run.session import Outcome
from apps.run.summary import Chapter, describe
from apps.run.supervisor import Supervisor
from apps.run.view import PlainView, heartbeat, line_of
from core import codec
from core.config import Config, load_config
from core.contracts import (
    DenialReason,
    Event,
    FillEvent,
    Halt,
    Instrument,
    OrderIntent,
    OrderStatus,
    OrderUpdate,
    PnlDay,
    PortfolioSnapshot,
    PositionSnapshot,
    Resume,
    RiskCheck,
    RiskDecision,
    WarmUp,
    Watermark,
)
from core.errors import ConfigError
from core.market.synthetic_market import START_NS

ROOT = Path(__file__).resolve().parents[1]
BTC = Instrument("BTC/USDT", Decimal("0.01"), Decimal("0.00001"))
NOON_NS = 1_723_118_400_000_000_000  # 2024-08-08T12:00:00Z
ARGUMENTS = {"symbol": "BTC/USDT", "seed": "7"}


def line(event: Event, seq: int = 1) -> bytes:
    """An event as a line of the order."""
    return codec.line_of(
        codec.Header(seq, 1, 0, "x.main", 0, seq, 1, type(event).__name__, 1, 1, 0), codec.encode(event)
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The shipped configuration in a folder of its own, where a run has left journals, server data, and a halt."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "base.yaml").write_bytes((ROOT / "config" / "base.yaml").read_bytes())
    loaded = load_config(tmp_path, environ={})
    journals, state = loaded.paths.journal_dir, loaded.paths.state_dir
    journals.mkdir(parents=True)
    (journals / "strat.intent.ndjson").write_bytes(line(Resume("x", "clear", 1)) + b"\n")
    (journals / "app.ndjson").write_text('{"ts": "now"}\n')
    (state / "redis").mkdir(parents=True)
    (state / "redis" / "data.aof").write_text("x")
    (state / "njord.trading.halt").touch()
    (state / "kill_switch.audit.ndjson").write_text("{}\n")
    return loaded


def left(config: Config) -> set[str]:
    """What lies in the folders of the installation."""
    folders = (config.paths.journal_dir, config.paths.state_dir)
    return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("last", "fresh", "goes_on"),
    [
        pytest.param(Note(ARGUMENTS, ended=False), False, True, id="interrupted"),
        pytest.param(Note(ARGUMENTS, ended=False), True, False, id="interrupted-but-fresh"),
        pytest.param(Note(ARGUMENTS, ended=True), False, False, id="ended"),
        pytest.param(Note({**ARGUMENTS, "seed": "8"}, ended=False), False, False, id="another-market"),
        pytest.param(Note(), False, False, id="unknown"),
    ],
)
def test_only_the_same_interrupted_run_goes_on(config, last, fresh, goes_on):
    """Anything else is put aside, whole; the kill switch, its audit file and the log stay where they are."""
    done = prepare(config, last, ARGUMENTS, fresh=fresh)
    stays = {"njord.trading.halt", "kill_switch.audit.ndjson", "app.ndjson"}
    if goes_on:
        assert done.startswith("going on where")
        assert left(config) == stays | {"strat.intent.ndjson", "redis"}
        return
    assert left(config) == stays | {"run.json"}
    (aside,) = (config.root / "var" / "runs").iterdir()
    assert str(aside) in done
    assert {str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()} == {
        "journals/strat.intent.ndjson",
        "redis/data.aof",
    }


def test_half_a_run_does_not_go_on(config):
    """Journals without their server, or the reverse, would fork: they are put aside even if nothing else speaks."""
    for path in (config.paths.state_dir / "redis").iterdir():
        path.unlink()
    (config.paths.state_dir / "redis").rmdir()
    done = prepare(config, Note(ARGUMENTS, ended=False), ARGUMENTS, fresh=False)
    assert done.startswith("the data of the run before are now in")
    assert prepare(config, read_note(config), ARGUMENTS, fresh=False) == ""


def test_two_archives_of_one_second_have_two_names(config):
    """Nothing is ever overwritten."""
    for _ in range(3):
        prepare(config, Note(), ARGUMENTS, fresh=True)
        (config.paths.state_dir / "redis").mkdir()
    assert len(list((config.root / "var" / "runs").iterdir())) == 3


def test_a_kill_switch_inside_the_server_s_data_is_refused(config):
    """Putting the data aside would take the halt away, and with it the stop of all trading."""
    risk = type(config.risk)(kill_switch_file="var/state/redis/halt")
    with pytest.raises(ConfigError, match="kill_switch_file"):
        prepare(config.model_copy(update={"risk": risk}), Note(), ARGUMENTS, fresh=False)
    assert "redis" in left(config)


def test_the_note_survives_what_cannot_be_read(config):
    """It is written whole; one that somebody has broken counts as none."""
    note = Note(ARGUMENTS, ended=False, pids={"risk_engine.main": 7}, server_url="redis://h:1/0", server_pid=8)
    write_note(config, note)
    assert read_note(config) == note
    (config.paths.state_dir / "run.json").write_text('{"ended":')
    assert read_note(config) == Note()


# -- the picture


def said(*events: Event, picture: Picture | None = None) -> list[str]:
    """The lines that a plain view writes about some events."""
    picture = picture or Picture(BTC, "capture at 10x")
    for seq, event in enumerate(events, 1):
        picture.fold(line(event, seq))
    return [line_of(each) for each in picture.recent]


INTENT = OrderIntent("sma_cross_v1", "BTC/USDT", "buy", "market", Decimal("0.003"), None, "i1")
CHECKS = (RiskCheck("halted", True, "clear", "clear"), RiskCheck("stale_price", False, "6.2", "5"))
FILL = FillEvent("o1", "BTC/USDT", "buy", Decimal("0.003"), Decimal("61737.6"), Decimal("0.1852"), NOON_NS)
HELD = PositionSnapshot("BTC/USDT", 0.003, 61737.6, 0.0, NOON_NS)
SECOND = Watermark("BTC/USDT", NOON_NS)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (INTENT, "12:00:00 intent   buy 0.003 BTC/USDT market by sma_cross_v1"),
        (
            RiskDecision("i1", False, DenialReason.STALE_PRICE, {}, CHECKS, "sma_cross_v1", "BTC/USDT"),
            "12:00:00 decision DENIED stale_price (6.2; limit 5), BTC/USDT of sma_cross_v1",
        ),
        (
            RiskDecision("i1", True, None, {}, CHECKS[:1], "sma_cross_v1", "BTC/USDT"),
            "12:00:00 decision allowed BTC/USDT of sma_cross_v1, 1 checks",
        ),
        (FILL, "12:00:00 fill     buy 0.003 BTC/USDT at 61,737.60, fee 0.1852, "),
        (HELD, "12:00:00 position long 0.003 BTC/USDT at 61,737.60, realized +0.00"),
        (Halt("risk_engine.main", "file: drill", 1), "12:00:00 halt     trading is halted: file: drill"),
        (
            OrderUpdate("o1", OrderStatus.REJECTED, "BTC/USDT", "buy", 1, 0, 1, "too small"),  # type: ignore[arg-type]
            "12:00:00 order    buy 1 BTC/USDT REJECTED: too small",
        ),
        (
            WarmUp("strategy_runner.main", "BTC/USDT", "1m", (), 400, 7),
            "12:00:00 warm-up  0 of 400 bars of BTC/USDT 1m from before; the log says why there were no more",
        ),
    ],
)
def test_what_happens_is_a_sentence(event, expected):
    """One line per intent, decision, fill, position change, halt and failed order, at its market time."""
    assert said(SECOND, event) == [expected]


class Saying(Daemon):
    """A daemon whose answer about its health is given."""

    said: dict[str, str]

    async def health(self) -> dict[str, str]:
        """What was given."""
        return self.said


async def test_a_refused_configuration_is_on_the_screen_as_long_as_it_is_refused(config):
    """One service refuses a file, another waits for it: the reason of the first is shown, and goes with the mistake."""
    picture = Picture(BTC, "a capture")
    gate, venue, ingest = (Saying(name, (), config.paths.run_dir, {}) for name in ("risk_engine.main", "x", "y"))
    supervisor = Supervisor(config, Server("redis://x"), picture, services=[gate, venue], ingest=ingest)
    good, bad, waits = ({"config_error": text} for text in ("", "base.yaml:37: unknown key", "x.main refuses it"))
    shown = []
    for gate.said, venue.said, ingest.said in ((good, good, {}), (good, bad, {}), (waits, bad, {}), (good, good, {})):
        await supervisor.look({})
        shown.append(picture.alerts)
    complaint = ["base.yaml:37: unknown key; the one before stays in force (x)"]
    assert shown == [[], complaint, complaint, []]
    assert not picture.recent  # it was over before anybody had to be told


def test_what_stays_wrong_is_told_once():
    """Patience of 7 s: told at 8 s, not again at 9 s; that it is right again is told too."""
    picture = Picture(BTC, "")
    alerts = Alerts(picture, "md_ingest.BTCUSDT", patience_s=7.0)
    bad, good = ({"risk_engine.main": {"config_error": text}} for text in ("base.yaml:37: unknown key", ""))
    for now, reports in ((1.0, bad), (7.0, bad), (8.0, bad), (9.0, bad), (10.0, good), (11.0, good)):
        alerts.look(now, reports)
    assert [(told.kind, told.text) for told in picture.recent] == [
        ("config", "base.yaml:37: unknown key; the one before stays in force (risk_engine.main)"),
        ("config", "the configuration on disk is in force again"),
    ]


def test_a_venue_that_cannot_be_reached_is_told():
    """Five seconds of trouble without data are told once, with the reason; a quiet market is not."""
    picture = Picture(BTC, "")
    alerts = Alerts(picture, "md_ingest.BTCUSDT", patience_s=7.0)

    def look(now, published, trouble=""):
        counts = {"published": published, "trouble": trouble}
        alerts.look(now, {"md_ingest.BTCUSDT": {"counts": counts}})
        return picture.alerts

    assert look(100.0, 0, "cannot be dialed") == []
    assert look(105.0, 0, "cannot be dialed") == ["no data for 5 s: cannot be dialed; still trying"]
    assert look(106.0, 0, "answered with 503") == ["no data for 6 s: answered with 503; still trying"]
    assert look(107.0, 10) == []
    assert look(200.0, 10) == []  # nothing traded, and nothing failed
    assert look(201.0, 10, "did not answer") == []  # it was quiet until now
    assert look(204.0, 11, "did not answer") == []  # the book still comes
    assert look(210.0, 11, "did not answer") == ["no data for 6 s: did not answer; still trying"]
    assert look(211.0, 0) == []  # started again
    assert look(212.0, 5) == []
    assert [told.text for told in picture.recent] == [
        "no data: cannot be dialed; still trying",
        "market data again",
        "no data: did not answer; still trying",
        "market data again",
    ]


def test_a_cancel_that_is_answered_twice_is_told_once():
    """The venue ends an order, and repeats that to whoever cancels it afterwards."""
    gone = OrderUpdate("o1", OrderStatus.CANCELED, "BTC/USDT", "buy", 1, 0, 1)  # type: ignore[arg-type]
    assert len(said(SECOND, gone, gone)) == 1


def test_only_changes_are_told():
    """The same position again, the first clear switch and an acknowledged order are no news; a resume is."""
    ack = OrderUpdate("o1", OrderStatus.ACK, "BTC/USDT", "buy", 1, 0, 1)  # type: ignore[arg-type]
    clear = Resume("risk_engine.main", "clear", 1)
    assert len(said(SECOND, HELD, HELD, ack, clear)) == 1
    assert said(Halt("x", "drill", 1), clear)[-1].endswith("trading again: clear")


def test_a_line_that_cannot_be_read_is_left_to_the_services():
    """The view goes on."""
    picture = Picture(BTC, "")
    picture.fold(b"nonsense")
    picture.fold(line(INTENT).replace(b'"buy"', b'"hold"'))
    assert not picture.recent


def test_rates_are_those_of_the_last_seconds():
    """300 lines and 30 market seconds in three seconds are 100 lines a second at ten times the speed."""
    picture = Picture(BTC, "", market_ns=NOON_NS)
    assert (picture.events_per_s, picture.pace) == (0.0, 0.0)
    for second, seq in ((0.0, 1), (10.0, 1000), (13.0, 1300)):
        picture.market_ns = NOON_NS + int(second) * 10_000_000_000
        picture.sample(second, seq)
    assert picture.events_per_s == pytest.approx(100.0)
    assert picture.pace == pytest.approx(10.0)


def full_picture() -> Picture:
    """A picture in which everything has something to show."""
    picture = Picture(BTC, "btcusdt_20240808.gz at 10x", server="embedded Redis 127.0.0.1:6379")
    names = ("portfolio_manager.main", "paper_trader.main", "risk_engine.main", "strategy_runner.main")
    picture.rows = [Row(name, "live", 1_234_567, 12, 98_765, 0, 1) for name in (*names, "md_ingest.BTCUSDT")]
    picture.price, picture.bid, picture.ask = 61_737.6, 61_737.59, 61_737.6
    account = PortfolioSnapshot("main", NOON_NS, 9_990.12, cash=9_804.9, realized_pnl=-3.2, fees=6.68)
    day = PnlDay("2024-08-08", Decimal("-9.88"), Decimal("9990.12"), Decimal(10_000), NOON_NS)
    said(SECOND, account, day, HELD, *[INTENT] * 60, picture=picture)
    return picture


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_screen_fits(width, height):
    """Every row is as wide as the terminal at most, all rows are as many as it has, and the figures are there."""
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(full_picture(), width, height))
    rows = capture.get().rstrip("\n").split("\n")
    assert len(rows) == height
    assert max(map(len, rows)) <= width
    shown = "\n".join(rows)
    for text in ("PAPER", "61,737.60", "equity 9,990.12", "-9.88", "long 0.003", "risk_engine.main", "60 intents"):
        assert text in shown
    assert rows[-1].strip().startswith("12:00:00 intent")


def test_a_halt_cannot_be_missed():
    """The first row says it and why."""
    picture = full_picture()
    picture.see(Halt("risk_engine.main", "file: drill", 1))
    console = Console(width=80, height=24, color_system=None)
    with console.capture() as capture:
        console.print(draw(picture, 80, 24))
    first = capture.get().split("\n")[0]
    assert "HALTED" in first
    assert "file: drill" in first
    assert "HALTED" in heartbeat(picture)


def test_plain_lines_come_once(tmp_path):
    """A view that looks often writes each happening once, also those that came between two looks."""
    picture = full_picture()
    with (tmp_path / "out").open("w") as out:
        view = PlainView(out)
        view.refresh(picture)
        picture.tell("note", "something new")
        view.refresh(picture)
        view.refresh(picture)
    lines = (tmp_path / "out").read_text().splitlines()
    assert sum("intent" in text and "buy" in text for text in lines) == 60
    assert sum("something new" in text for text in lines) == 1
    assert sum("equity 9,990.12; day -9.88" in text for text in lines) == 1


# -- the summary


def test_a_summary_counts_its_own_chapter(tmp_path):
    """What earlier runs have written, a torn line of theirs included, is not counted; what this one adds is."""
    intents, decisions = tmp_path / "strat.intent.ndjson", tmp_path / "risk.decisions.ndjson"
    denied = RiskDecision("i2", False, DenialReason.HALTED, {}, (), "s", "BTC/USDT")
    old = line(RiskDecision("i1", True), 2) + b"\n"
    intents.write_bytes(line(INTENT) + b"\n")
    decisions.write_bytes(old + line(denied, 4)[:40])
    chapter = Chapter(tmp_path)
    intents.write_bytes(b"".join(line(INTENT, seq) + b"\n" for seq in (1, 2, 3)))
    decisions.write_bytes(old + line(denied, 4) + b"\n" + line(RiskDecision("i3", True), 5) + b"\n")
    (tmp_path / "fills.BTCUSDT.ndjson").write_bytes(line(FILL) + b"\n")
    (tmp_path / "positions.BTCUSDT.ndjson").write_bytes(line(HELD) + b"\n")
    (tmp_path / "clock.market.BTCUSDT.ndjson").write_bytes(line(SECOND) + b"\n")
    summary = chapter.summarize("BTC/USDT")
    assert (summary.intents, summary.allowed, dict(summary.denied)) == (2, 1, {"halted": 1})
    assert (summary.fills, summary.first_ns, summary.last_ns, summary.published) == (1, NOON_NS, NOON_NS, 0)
    assert "intents    2: 1 allowed, 1 denied (halted 1)" in describe(summary, Picture(BTC, ""))
    assert "position   long 0.003 BTC/USDT at 61,737.60, realized +0.00" in describe(summary, Picture(BTC, ""))


# -- the command line


def plan(*arguments: str):
    """What the options ask for."""
    args = _parser().parse_args([*arguments, "--config-root", str(ROOT)])
    return plan_of(args, load_config(ROOT, args.profile, environ={}))


def test_the_options_reach_every_process(tmp_path):
    """A recording is read as it is, a simulated exchange is a venue elsewhere, a real one has its own pace."""
    capture = tmp_path / "btc.gz"
    capture.touch()
    place = ("--config-root", str(ROOT), "--profile", "demo")
    assert plan().place == place
    simulated = plan().market
    port = simulated.ingest[-1].removeprefix("http://127.0.0.1:")
    assert simulated.ingest[:-2] == ("--symbol", "BTC/USDT", "--venue", "binanceus", "--feed", "ccxt")
    assert simulated.exchange == (
        "--synthetic", "--seed", "7", "--symbol", "BTC/USDT", "--speed", "10", "--port", port,
    )  # fmt: skip
    recorded = plan("--capture", str(capture), "--symbol", "ETH/USDT").market
    assert recorded.ingest == ("--symbol", "ETH/USDT", "--capture", str(capture), "--speed", "10")
    venue = plan("--venue", "binanceus").market
    assert venue.ingest == ("--symbol", "BTC/USDT", "--venue", "binanceus", "--feed", "auto")
    assert recorded.exchange == venue.exchange == ()
    said = [plan("--speed", text).market.source for text in ("30", "30x")]
    assert said == ["simulated exchange, seed 7, at 30x"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--speed", "max"), "--speed is 'max' for the simulated exchange; allowed: a number, or max with --capture"),
        (("--venue", "binanceus", "--speed", "10"), "--speed is '10' with --venue; allowed: none"),
        (("--capture", __file__, "--feed", "lean"), "--feed is 'lean' with --capture; allowed: none"),
        (("--venue", "krakn"), "--venue is 'krakn'; allowed: a venue that ccxt.pro knows; did you mean 'kraken'?"),
        (("--venue", "kraken", "--feed", "lean"), "--feed is 'lean' with --venue kraken; allowed with: binance, "),
    ],
)
def test_an_option_that_means_nothing_is_refused(arguments, message):
    """Nobody believes in a speed that the market does not have."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        plan(*arguments)


def test_a_market_goes_on_where_its_journals_end(tmp_path):
    """After 600 market seconds at ten times the speed it must have begun 60 seconds ago; without journals, now."""
    before = time.time_ns()
    assert before <= started_at("BTC/USDT", tmp_path, 10.0) <= time.time_ns()
    marks = [Watermark("BTC/USDT", START_NS + second * 10**9) for second in (0, 599, 600)]
    written = [line(mark, seq) + b"\n" for seq, mark in enumerate(marks, 1)]
    torn = line(marks[0], 4)[:50]
    (tmp_path / "clock.market.BTCUSDT.ndjson").write_bytes(b"".join(written) + torn)
    before = time.time_ns() - 60 * 10**9
    assert before <= started_at("BTC/USDT", tmp_path, 10.0) <= time.time_ns() - 60 * 10**9


def test_the_speed_does_not_make_another_run():
    """Whoever was too slow can go on faster; another seed is another market."""
    assert plan("--speed", "20").identity == plan().identity
    assert plan("--seed", "8").identity != plan().identity


@pytest.mark.parametrize("arguments", [("--speed", "0"), ("--speed", "fast"), ("--for", "-1"), ("--see", "7")])
def test_wrong_options_are_refused(arguments):
    """Before anything has started, with exit code 2; options are not abbreviated."""
    with pytest.raises(SystemExit, match="2"):
        plan(*arguments)


@pytest.mark.parametrize("arguments", [("--symbol", "XRP/USDT"), ("--capture", "/no/such/file.gz")])
def test_what_is_not_there_is_named(arguments):
    """A symbol without an instrument and a capture without a file are mistakes of usage."""
    with pytest.raises(ConfigError, match=f"{arguments[0]} is '{arguments[1]}'; allowed"):
        plan(*arguments)


def test_a_capture_of_another_symbol_is_not_a_silent_success(config):
    """A run that ends without a trade of its symbol says so."""
    plan = plan_of(_parser().parse_args(["--symbol", "ETH/USDT"]), config)
    summary = Chapter(config.paths.journal_dir).summarize("ETH/USDT")
    picture = Picture(plan.instrument, plan.market.source)
    said = _report(Outcome(ended=True, why="the capture has ended", summary=summary), plan, picture)
    assert "  no trade of ETH/USDT came: the capture has none, or the cell has them already" in said
