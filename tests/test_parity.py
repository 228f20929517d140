"""Parity: a recorded session is executed again byte for byte, and whatever is wrong with it gets its right name."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from decimal import Decimal
from functools import cache

import pytest

from backtest import parity
from backtest.journals import read_record
from core import codec
from core.contracts import OrderIntent
from core.errors import ConfigError
from core.risk.rules import RULES
from core.source_code import LoadedCode
from strategies.strategy import Strategy
from tests.runtime_lab import BTC
from tests.trading_floor import ROOT, STRATEGIES, TRADING, contents, recorded

pytestmark = pytest.mark.slow


@cache
def read_once(plugins):
    return LoadedCode(plugins)


class ClockReader(Strategy):
    """Does what no strategy may: it decides by the clock on the wall."""

    strategy_id = "clock_reader"

    def on_trade(self, trade):
        price = Decimal(time.time_ns())
        return (OrderIntent("clock_reader_v1", trade.symbol, "buy", "limit", Decimal(1), price),)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A session in which everything has happened: trades, orders, fills, and a service killed in the middle."""
    return asyncio.run(recorded(tmp_path_factory.mktemp("session"), killed="risk_engine"))


@pytest.fixture(autouse=True)
def one_reading_of_the_code(monkeypatch):
    """The code is read once for all tests: it does not change meanwhile."""
    monkeypatch.setattr(parity, "LoadedCode", lambda plugins=(): read_once(tuple(plugins)))


@pytest.fixture
def journals(session, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(session, tmp_path / "journals")


def names(session):
    return sorted(path.name for path in session.glob("*.ndjson"))


def edit(path, change):
    """Change the lines of a journal."""
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))


# -- nothing wrong


def test_a_session_with_a_kill_is_repeated_exactly(journals):
    """Every intent, decision, order, fill, position and memory is the same."""
    report = parity.check([journals], contents())
    assert (report.ok, report.differences, report.cause, report.data) == (True, 0, "", [])
    for topic in ("strat.intent", "risk.decisions", "orders.accepted", "fills.new", "portfolio.snapshot"):
        assert report.outputs[topic] >= 3
    assert report.outputs["control.session.risk_engine.main"] == 2
    outputs = [topic for topic in report.outputs if topic.split(".")[0] in ("strat", "risk", "orders", "fills")]
    assert report.compared > sum(report.outputs[topic] for topic in outputs)


@pytest.mark.parametrize("service", ["strategy_runner", "paper_trader", "portfolio_manager"])
async def test_whoever_was_killed_the_session_is_repeated(tmp_path, service):
    """A restart in the middle leaves nothing to see in the journals but its own record."""
    report = parity.check([await recorded(tmp_path, killed=service)], contents())
    assert report.ok
    assert report.outputs[f"control.session.{service}.main"] == 2


def test_journals_of_two_hosts_are_one_record(session, tmp_path):
    """Half of the journals in one folder, half in another, some in both."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    for index, name in enumerate(names(session)):
        for folder in ((a, b), (a,), (b,))[index % 3]:
            shutil.copy(session / name, folder)
    assert parity.check([a, b], contents()).ok
    assert parity.check([a], contents()).cause == "data"


# -- the record is damaged


def every_journal():
    """Names of the journals of a session; fixed, so that a journal that is no longer written is missed."""
    services = ("ohlcv_aggregator", "paper_trader", "portfolio_manager", "risk_engine", "strategy_runner")
    control = [f"control.{kind}.{name}.main" for kind in ("config", "ready", "session", "state") for name in services]
    market = ["clock.market.BTCUSDT", "md.trades.BTCUSDT"]
    trading = ["strat.intent", "risk.decisions", "orders.accepted", "orders.updates", "fills.BTCUSDT"]
    account = ["positions.BTCUSDT", "portfolio", "portfolio.pnl_day"]
    return [*market, *trading, *account, *control, "control.resume.risk_engine.main"]


def test_these_are_all_journals(session):
    """The list that the next tests go through is complete."""
    assert sorted(every_journal()) == [name.removesuffix(".ndjson") for name in names(session)]


@pytest.mark.parametrize("name", every_journal())
@pytest.mark.parametrize("which", ["first", "last"])
def test_a_deleted_line_of_any_journal_is_found(journals, name, which):
    """One line less: the number that is missing is named."""
    path = journals / f"{name}.ndjson"
    top = sum(parity.check([journals], contents()).outputs.values())
    gone = codec.seq_of(path.read_bytes().splitlines()[0 if which == "first" else -1])
    edit(path, lambda lines: lines[1:] if which == "first" else lines[:-1])
    report = parity.check([journals], contents())
    if gone == top:  # nothing behind the very last line proves that it was there
        assert report.ok
        return
    assert (report.ok, report.cause, len(report.data)) == (False, "data", 1)
    assert re.fullmatch(rf"journals: missing: {gone}( on \S+)?", report.data[0])


@pytest.mark.parametrize("name", every_journal())
def test_a_doubled_line_of_any_journal_is_found(journals, name):
    """One line twice: journal and line are named."""
    edit(journals / f"{name}.ndjson", lambda lines: [*lines, lines[-1]])
    report = parity.check([journals], contents())
    assert (report.ok, report.cause) == (False, "data")
    count = len((journals / f"{name}.ndjson").read_bytes().splitlines())
    assert report.data == [f"{name}.ndjson: line {count} is doubled"]


def test_lines_out_of_order_are_found(journals):
    """Two lines that have changed places."""
    edit(journals / "md.trades.BTCUSDT.ndjson", lambda lines: [lines[1], lines[0], *lines[2:]])
    report = parity.check([journals], contents())
    assert (report.cause, report.data) == ("data", ["md.trades.BTCUSDT.ndjson: line 2 is out of order"])


@pytest.mark.parametrize("junk", [b"hello", b"", b'{"_seq":}', b"\xff\xfe\x00", b'{"_seq":7}', b"[1]"])
def test_a_line_that_cannot_be_read_is_found(journals, junk):
    """Junk between the lines of a journal."""
    edit(journals / "risk.decisions.ndjson", lambda lines: [lines[0], junk, *lines[1:]])
    report = parity.check([journals], contents())
    assert (report.cause, report.data) == ("data", ["risk.decisions.ndjson: line 2 cannot be read"])


def test_a_torn_last_line_counts_as_missing(journals):
    """A line without its end is no line."""
    path = journals / "strat.intent.ndjson"
    path.write_bytes(path.read_bytes()[:-10])
    assert parity.check([journals], contents()).cause == "data"


def test_another_line_under_a_used_number_is_found(journals, tmp_path):
    """Two folders that contradict each other."""
    other = tmp_path / "other"
    other.mkdir()
    text = (journals / "fills.BTCUSDT.ndjson").read_bytes()
    (other / "fills.BTCUSDT.ndjson").write_bytes(text.replace(b'"side":"buy"', b'"side":"sell"', 1))
    report = parity.check([journals, other], contents())
    assert (report.cause, report.data) == (
        "data",
        ["fills.BTCUSDT.ndjson: line 1 differs from the same number elsewhere"],
    )


def test_a_falsified_output_is_found_where_it_was_said(journals):
    """A fill whose price was changed afterwards: the fill is the first difference, with both contents."""
    edit(journals / "fills.BTCUSDT.ndjson", lambda lines: [lines[0].replace(b'"price":"', b'"price":"9'), *lines[1:]])
    report = parity.check([journals], contents())
    assert not report.ok
    assert (report.first[0].topic, report.first[0].instance) == ("fills.new", "paper_trader.main")
    assert '"price":"9' in report.first[0].recorded
    assert '"price":"9' not in report.first[0].executed


def test_a_configuration_that_does_not_fit_its_hash_is_found(journals):
    """Somebody has changed the recorded configuration itself."""
    edit(
        journals / "control.config.risk_engine.main.ndjson",
        lambda lines: [lines[0].replace(b'"orders_per_min_cap":30', b'"orders_per_min_cap":31'), *lines[1:]],
    )
    report = parity.check([journals], contents())
    assert report.cause == "data"
    assert report.data == ["risk_engine.main: the recorded configuration does not have the recorded hash"]


# -- something has changed


def test_a_changed_parameter_is_named(journals):
    """Smaller orders would have been another session: class configuration, with key, recorded and present value."""
    changed = {**TRADING, "NJORD__STRATEGIES__SMA_CROSS_V1__PARAMS": '{"fast": 2, "slow": 4, "qty": 0.4}'}
    report = parity.check([journals], contents(changed))
    assert (report.ok, report.cause) == (False, "configuration")
    assert report.differences > 0
    assert report.changed_keys == ["strategy_runner: strategies[2].params.qty was 0.5, is 0.4"]
    assert report.first[0].topic == "strat.intent"


def test_a_changed_parameter_that_changes_nothing_is_named_too(journals):
    """A higher cap would have decided the same, but it is another configuration."""
    report = parity.check([journals], contents({**TRADING, "NJORD__RISK__DAILY_LOSS_USD_CAP": "301"}))
    assert (report.ok, report.cause) == (False, "configuration")
    assert report.changed_keys == ["risk_engine: risk.daily_loss_usd_cap was '300', is '301'"]


def test_without_a_present_configuration_only_the_recorded_one_counts(journals):
    """Executing an old session again needs nothing but its journals."""
    assert parity.check([journals]).ok


def checks_less(monkeypatch):
    """A gate that makes only its first check."""
    monkeypatch.setattr("core.risk.gate.RULES", RULES[:1])


def test_changed_code_is_named(journals, monkeypatch):
    """Another decision under another code hash: class code."""
    checks_less(monkeypatch)
    monkeypatch.setattr(parity, "LoadedCode", lambda plugins=(): type("Code", (), {"hash": "other"}))
    report = parity.check([journals], contents())
    assert (report.ok, report.cause, report.code_changed) == (False, "code", True)
    assert report.first[0].topic == "risk.decisions"
    assert report.first[0].instance == "risk_engine.main"


def test_changed_code_that_decides_the_same_is_no_difference(journals, monkeypatch):
    """A refactoring is proven by the sessions that were recorded before it."""
    monkeypatch.setattr(parity, "LoadedCode", lambda plugins=(): type("Code", (), {"hash": "other"}))
    report = parity.check([journals], contents())
    assert (report.ok, report.code_changed) == (True, True)
    assert "the code has changed since" in parity.describe(report)


def test_the_same_code_that_decides_otherwise_is_not_deterministic(journals, monkeypatch):
    """Same hashes, another answer: a hidden input."""
    checks_less(monkeypatch)
    report = parity.check([journals], contents())
    assert (report.ok, report.cause) == (False, "non-determinism")


async def test_a_strategy_that_reads_the_clock_is_found(tmp_path):
    """Its intents carry the time of the wall and are never the same again."""
    settings = contents()
    settings["strategy_runner"]["strategies"].append(
        {
            "id": "clock_reader_v1",
            "class": f"{__name__}.ClockReader",
            "enabled": True,
            "symbols": [BTC],
            "events": ["md.trades.*"],
            "params": {},
        }
    )
    report = parity.check([await recorded(tmp_path, settings)], settings)
    assert (report.ok, report.cause) == (False, "non-determinism")
    assert (report.first[0].topic, report.first[0].instance) == ("strat.intent", STRATEGIES)


# -- the command


@pytest.fixture
def trading(monkeypatch):
    """The environment that the session was recorded under."""
    for name, value in TRADING.items():
        monkeypatch.setenv(name, value)


def run(capsys, *arguments):
    code = parity.main([*arguments, "--config-root", str(ROOT)])
    return code, capsys.readouterr()


def test_the_command_says_so_and_exits_with_0(journals, trading, capsys):
    """Without differences the last line says it."""
    code, said = run(capsys, "--journal-dir", str(journals))
    assert (code, said.out.splitlines()[-1], said.err) == (0, "parity: 0 differences", "")


def test_the_command_exits_with_1_and_names_the_class(journals, trading, capsys):
    """A missing line is worth an exit code."""
    edit(journals / "strat.intent.ndjson", lambda lines: lines[1:])
    code, said = run(capsys, "--journal-dir", str(journals))
    assert code == 1
    assert "class data" in said.out.splitlines()[-1]


def test_the_report_as_json(journals, trading, capsys):
    """One object, with the same facts."""
    code, said = run(capsys, "--journal-dir", str(journals), "--json")
    report = json.loads(said.out)
    assert (code, report["ok"], report["differences"], report["cause"]) == (0, True, 0, "")
    assert report["lines"] == sum(report["outputs"].values())
    fills = journals / "fills.BTCUSDT.ndjson"
    edit(fills, lambda lines: [lines[0].replace(b'"price":"', b'"price":"9'), *lines[1:]])
    code, said = run(capsys, "--journal-dir", str(journals), "--json")
    report = json.loads(said.out)
    assert (code, report["ok"], report["first"][0]["topic"]) == (1, False, "fills.new")


def test_the_present_configuration_is_the_one_of_the_command_line(journals, capsys):
    """The shipped configuration is not the one of this session; with --recorded-config it is not asked."""
    assert run(capsys, "--journal-dir", str(journals))[0] == 1
    assert run(capsys, "--journal-dir", str(journals), "--recorded-config")[0] == 0


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_folder_without_journals_is_wrong_usage(tmp_path, trading, capsys, kind):
    """The folder is named, and the exit code is that of wrong usage."""
    folder = tmp_path / "journals"
    if kind == "empty":
        folder.mkdir()
    elif kind == "file":
        folder.write_text("")
    code, said = run(capsys, "--journal-dir", str(folder))
    assert (code, said.out) == (2, "")
    assert str(folder) in said.err.splitlines()[-1]


def test_a_wrong_configuration_is_wrong_usage(journals, tmp_path, capsys):
    """It is said which file, and nothing is compared."""
    assert parity.main(["--journal-dir", str(journals), "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_abbreviated_options_are_refused(capsys):
    """A script must not depend on how many options there are today."""
    with pytest.raises(SystemExit) as ended:
        parity.main(["--journal", "x"])
    assert ended.value.code == 2


def test_no_folders_at_all():
    """An empty list of folders holds no journal."""
    with pytest.raises(ConfigError):
        parity.check([])


def test_a_deleted_output_is_named_with_what_it_said(journals):
    """The fill that no journal holds any more is the first difference: the re-execution still knows it."""
    path = next(journals.glob("fills.*.ndjson"))
    line = path.read_bytes().splitlines()[0]
    edit(path, lambda lines: lines[1:])
    report = parity.check([journals], contents())
    first = report.first[0]
    assert (first.seq, first.topic, first.recorded) == (codec.seq_of(line), "fills.new", "")
    assert first.executed.encode() == codec.body_of(line)


@pytest.mark.parametrize("written", [True, False])
def test_journals_of_a_session_that_still_runs_are_named_as_the_cause(journals, monkeypatch, capsys, written):
    """A line that is not there yet and one that is lost look the same, but only running journals grow meanwhile."""

    def reading(directories):
        record = read_record(directories)
        if written:
            with (journals / "strat.intent.ndjson").open("ab") as file:
                file.write(b"{")
        return record

    monkeypatch.setattr(parity, "read_record", reading)
    edit(journals / "md.trades.BTCUSDT.ndjson", lambda lines: lines[:4] + lines[5:])
    code, said = run(capsys, "--journal-dir", str(journals))
    assert code == 1
    assert ("still being written: end the session first" in said.out) is written
