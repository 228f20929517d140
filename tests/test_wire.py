"""One trade through the real processes on a real server: every step on the wire, and every line in its journal."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal

import pytest

from backtest import parity
from core import codec
from core.bus import Bus
from core.sequencer.redis import RedisCell
from core.sequencer.wire import Wire, dial, parse_url
from tests.installation import SERVICES, Installation, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.redis]

BTC = "BTC/USDT"
PROFILE = """\
strategies:
  sma_cross_v1:
    params: {fast: 2, slow: 4, qty: 0.5}
risk:
  per_order_usd_cap: 100
"""
PRICES = [100.0, 99.0, 98.0, 97.0, 97.0, 99.0, 102.0, 104.0]
"""The averages of 2 and 4 trades cross at the sixth or seventh; 0.5 at 99 or 102 is under the cap of 100."""


@pytest.fixture(scope="module")
def session(tmp_path_factory, redis_server):
    """All services, eight trades published by hand, then the ingest that keeps their journal, and an orderly end."""
    folder = tmp_path_factory.mktemp("wire")
    place = Installation(folder, redis_server.url)
    (folder / "config" / "wire.yaml").write_text(PROFILE)
    place.extra = {"NJORD__REDIS__CELL": "wire"}
    try:
        for service in SERVICES:
            place.start(service, "--profile", "wire")
        wait_for(place.live(*(f"{service}.main" for service in SERVICES)))
        heard = asyncio.run(trading(place))
        key = asyncio.run(plain_key(place, "njord@wire:pnl:day"))
        place.start("md_ingest", "--symbol", BTC, "--synthetic", "--speed", "0.001", "--profile", "wire")
        wait_for(lambda: len(place.lines("md.trades.BTCUSDT")) >= len(PRICES))
        ends = place.stop()
        yield place, heard, key, ends
    finally:
        place.close()


async def trading(place):
    """Publish the trades; every message that went over the wire, by channel and line."""
    heard: list[tuple[str, bytes]] = []
    wire = await dial(
        parse_url(place.url), lambda channel, line: heard.append((channel.decode(), line)), lambda lost: None
    )
    assert isinstance(wire, Wire)
    await wire.call("PSUBSCRIBE", "wire@*")
    bus = Bus(place.url, "wire")
    now_ns = time.time_ns()
    for number, price in enumerate(PRICES, 1):
        trade = {
            "symbol": BTC,
            "price": price,
            "qty": 1.0,
            "side": "buy",
            "ts": now_ns + number,
            "trade_id": str(number),
        }
        await bus.publish_json(f"md.trades.{BTC}", trade)
    deadline = time.monotonic() + 20
    while not any(channel == "wire@portfolio.pnl_day" and b'"_cause":0' not in line for channel, line in heard) or not (
        any(channel == "wire@positions.snapshot" for channel, _ in heard)
    ):
        assert time.monotonic() < deadline, [channel for channel, _ in heard]
        await asyncio.sleep(0.01)
    while not any(channel == "wire@portfolio.snapshot" for channel, _ in heard):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await bus.close()
    wire.close()
    return heard


async def plain_key(place, key):
    cell = RedisCell(place.url, "wire")
    await cell.connect()
    value = await cell.get(key)
    await cell.close()
    return value


def said(heard, topic):
    return [json.loads(line) for channel, line in heard if channel == f"wire@{topic}"]


def test_a_trade_becomes_an_intent_a_decision_an_order_a_fill_and_a_position(session):
    """The cross gives one buy of 0.5; the gate allows it; it is filled at the last price; the account shows it."""
    _, heard, _, _ = session
    (wish,) = said(heard, "strat.intent")
    assert (wish["strategy_id"], wish["side"], wish["qty"]) == ("sma_cross_v1", "buy", "0.5")
    (decision,) = said(heard, "risk.decisions")
    assert (decision["intent_id"], decision["allowed"]) == (wish["intent_id"], True)
    (order,) = said(heard, "orders.accepted")
    assert (order["intent_id"], order["qty"], order["venue"]) == (wish["intent_id"], "0.5", "paper")
    (fill,) = said(heard, "fills.new")
    assert (fill["order_id"], fill["qty"]) == (order["order_id"], "0.5")
    assert float(fill["price"]) in PRICES
    assert Decimal(fill["fee"]) == Decimal(fill["price"]) * Decimal("0.5") * Decimal("0.001")
    (position,) = said(heard, "positions.snapshot")
    assert (position["qty"], position["avg_price"]) == (0.5, float(fill["price"]))
    assert said(heard, "portfolio.snapshot")[-1]["positions"] == {BTC: 0.5}
    chain = [wish, decision, order, fill, position]
    assert [line["_cause"] for line in chain[1:]] == [wish["_seq"], wish["_seq"], order["_seq"], order["_seq"]]
    assert {line["_root"] for line in chain} == {wish["_cause"]}


def test_the_profit_of_the_day_is_mirrored(session):
    """The key holds the profit that the newest event tells."""
    place, heard, key, _ = session
    told = [json.loads(line) for line in place.lines("portfolio.pnl_day")]
    assert Decimal(key.decode()) in [Decimal(each["pnl"]) for each in told]
    assert Decimal(key.decode()) == Decimal(said(heard, "portfolio.pnl_day")[-1]["pnl"])


def test_every_line_of_the_wire_is_in_its_journal_byte_for_byte(session):
    """Nothing that was published is missing in the journals, and nothing in them is altered."""
    place, heard, _, _ = session
    journalled = {line for path in place.journals.glob("*.ndjson") for line in path.read_bytes().split(b"\n")}
    assert len(heard) >= 16  # eight trades, seven answers to the cross, at least one profit of the day
    assert [channel for channel, line in heard if line not in journalled] == []
    numbers = [codec.seq_of(line) for _, line in heard]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_journals_have_their_names(session):
    """Symbols without the slash, one file per topic."""
    place, _, _, _ = session
    names = {path.name for path in place.journals.glob("*.ndjson")}
    assert {
        "md.trades.BTCUSDT.ndjson", "strat.intent.ndjson", "risk.decisions.ndjson", "orders.accepted.ndjson",
        "orders.updates.ndjson", "fills.BTCUSDT.ndjson", "positions.BTCUSDT.ndjson", "portfolio.ndjson",
        "portfolio.pnl_day.ndjson", "app.ndjson",
    } <= names  # fmt: skip


def test_everybody_leaves_in_order_and_the_session_can_be_repeated(session, monkeypatch):
    """All exit with 0, and the journals give 0 differences under the profile that they ran with."""
    place, _, _, ends = session
    assert ends == [0] * (len(SERVICES) + 1)
    assert parity.main(
        ["--journal-dir", str(place.journals), "--config-root", str(place.folder), "--profile", "wire"]
    ) == 0  # fmt: skip


def test_the_terminal_stays_clean(session):
    """Nothing went wrong that somebody would have to read."""
    place, _, _, _ = session
    assert [place.stderr(process) for process in place.processes] == [""] * (len(SERVICES) + 1)
