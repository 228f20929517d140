"""The simulated exchange over real connections: routes, streams, every fault, slow listeners, and the process."""

from __future__ import annotations

import json
import signal
import time
from itertools import count, pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from apps.sim_exchange import sockets
from apps.sim_exchange.main import main
from core.runtime.process import speed
from tests.installation import Installation
from tests.sim_market import NS_PER_S, SYNTHETIC, Simulator, capture, simulator, until

TRADES, DEPTH, QUOTES = "btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker"
FAST = (*SYNTHETIC, "--speed", "20")


async def receive(socket: aiohttp.ClientWebSocketResponse, messages: int) -> list[dict[str, Any]]:
    return [await socket.receive_json(timeout=20) for _ in range(messages)]


async def ids(socket: aiohttp.ClientWebSocketResponse, messages: int) -> list[int]:
    return [each["t"] for each in await receive(socket, messages)]


async def test_the_routes_over_http():
    """Status, JSON and the header that counts the weight."""
    async with simulator(*FAST) as sim:
        async with sim.session.get(sim.url + "/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 5000}) as answer:
            assert answer.status == 200
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "50"
            assert set(await answer.json()) == {"lastUpdateId", "bids", "asks"}
        assert (await sim.api("ping"))[1] == {}
        assert (await sim.api("depth", symbol="NOPE"))[0] == 400
        assert (await sim.api("nope"))[0] == 404
        state = await sim.get("/sim/state")
        assert state["requests"] == {"depth": 2, "ping": 1, "unknown": 1}
        assert state["statuses"] == {"200": 2, "400": 1, "404": 1}
        assert (await sim.get("/health"))["state"] == "live"


async def test_what_the_streams_say_is_what_the_routes_say():
    """Trades without a hole or a double, the same as asked for by their ids, and as the truth has them."""
    async with simulator(*FAST) as sim:
        socket = await sim.listen(TRADES)
        told = await receive(socket, 50)
        first, last = told[0]["t"], told[-1]["t"]
        assert [each["t"] for each in told] == list(range(first, last + 1))
        _, asked = await sim.api("historicalTrades", symbol="BTCUSDT", fromId=first, limit=50)
        assert [(each["id"], each["price"], each["qty"], each["time"], each["isBuyerMaker"]) for each in asked] == [
            (each["t"], each["p"], each["q"], each["T"], each["m"]) for each in told
        ]
        truth = await sim.get("/sim/trades", fromId=first, limit=50)
        assert [each[0] for each in truth["trades"]] == [each["t"] for each in told]
        assert truth["last"] >= last


@pytest.mark.parametrize(
    ("path", "combined"),
    [
        ("/ws/btcusdt@trade", False),
        ("/stream?streams=btcusdt@trade/btcusdt@depth", True),
        ("/ws/x@trade/btcusdt@trade", False),
    ],
)
async def test_streams_may_be_named_in_the_address(path, combined):
    """Bare messages behind /ws, named ones behind /stream."""
    async with simulator(*FAST) as sim, sim.session.ws_connect(sim.streams + path) as socket:
        (message,) = await receive(socket, 1)
        assert set(message) == ({"stream", "data"} if combined else set("eEstpqTmM"))


async def test_subscriptions_are_answered():
    """Added, listed, taken away, refused; nothing that a client sends ends the connection."""
    async with simulator(*SYNTHETIC) as sim, sim.session.ws_connect(sim.streams + "/ws") as socket:
        table: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"method": "SUBSCRIBE", "params": ["a@trade", "b@depth"], "id": 1}, {"result": None, "id": 1}),
            ({"method": "UNSUBSCRIBE", "params": ["a@trade"], "id": "x"}, {"result": None, "id": "x"}),
            ({"method": "LIST_SUBSCRIPTIONS", "id": 3}, {"result": ["b@depth"], "id": 3}),
        ]
        for sent, answer in table:
            await socket.send_json(sent)
            assert await receive(socket, 1) == [answer]
        many = {"method": "SUBSCRIBE", "params": [f"x{number}@trade" for number in range(1024)], "id": 4}
        for nonsense in ("{", "[]", '{"method":"BUY","id":4}', '{"method":"SUBSCRIBE","params":7}', json.dumps(many)):
            await socket.send_str(nonsense)
            (refusal,) = await receive(socket, 1)
            assert refusal["error"]["code"] in {2, 3}


@pytest.mark.slow
async def test_at_full_speed_the_market_waits_for_its_listeners():
    """Nothing happens before somebody listens; then a listener that takes its time gets everything."""
    async with simulator("--capture", str(capture("btcusdt_20240808.gz")), "--speed", "max") as sim:
        assert (await sim.get("/sim/state"))["played"] == 0
        socket = await sim.listen(TRADES)
        told = await ids(socket, 9757)
        assert told == list(range(told[0], told[0] + 9757))
        await until(lambda: ended(sim))
        state = await sim.get("/sim/state")
        assert state["symbols"]["BTCUSDT"]["last_trade_id"] == told[-1]
        _, before = await sim.api("time")
        assert await sim.api("time") == (200, before)  # it goes on answering; its time stands still


async def ended(sim: Simulator) -> bool:
    return bool((await sim.get("/sim/state"))["ended"])


@pytest.mark.slow
async def test_one_that_does_not_read_is_cut_off_and_the_others_do_not_notice(monkeypatch):
    """Its queue has an end."""
    monkeypatch.setattr(sockets, "QUEUE_MAX", 500)
    monkeypatch.setattr(sockets, "EASY", 10**9)
    async with simulator("--synthetic", "--speed", "600") as sim:
        lazy = await sim.listen(DEPTH, path="/ws")
        assert lazy._response.connection is not None
        assert lazy._response.connection.transport is not None
        lazy._response.connection.transport.pause_reading()
        busy = await sim.listen(TRADES)
        told: list[int] = []
        while not (await sim.get("/sim/state"))["sockets_cut_off"]:
            told += await ids(busy, 100)
        told += await ids(busy, 100)
        assert told == list(range(told[0], told[0] + len(told)))


# Faults of streams


async def test_messages_are_dropped_doubled_and_swapped():
    """Three are missing, one comes twice, two change places; each is listed."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="drop", where=TRADES, after=2, times=3)
        await sim.fault(kind="double", where=TRADES, after=6)
        await sim.fault(kind="swap", where=TRADES, after=8)
        socket = await sim.listen(TRADES)
        told = await ids(socket, 10)
        assert [each - told[0] for each in told] == [0, 1, 5, 6, 6, 7, 9, 8, 10, 11]
        assert await sim.happened() == ["drop"] * 3 + ["double", "swap"]


async def test_a_gap_in_the_changes_of_the_book_can_be_seen():
    """The next change does not chain to the last one."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="drop", where="*@depth@100ms", after=2, times=4)
        told = await receive(await sim.listen(DEPTH), 4)
        chained = [after["U"] == before["u"] + 1 for before, after in pairwise(told)]
        assert chained == [True, False, True]


@pytest.mark.parametrize(
    ("code", "kind", "seen"),
    [(1001, WSMsgType.CLOSE, 1001), (1006, WSMsgType.CLOSED, 1006), (0, WSMsgType.CLOSED, 1006)],
)
async def test_a_connection_ends_with_or_without_a_word(code, kind, seen):
    """In the middle of the stream; the next one is served."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="disconnect", where=TRADES, after=3, code=code)
        socket = await sim.listen(TRADES)
        assert len(await ids(socket, 3)) == 3
        assert (await socket.receive(20)).type in {kind, WSMsgType.ERROR}
        assert socket.close_code == seen
        again = await sim.listen(TRADES)
        assert len(await ids(again, 3)) == 3


async def test_everybody_can_be_sent_away_at_once():
    """Or those of one stream."""
    async with simulator(*FAST) as sim:
        trades, depth = await sim.listen(TRADES), await sim.listen(DEPTH)
        async with sim.session.post(sim.url + "/sim/kick", json={"where": "*@trade", "code": 1001}) as answer:
            assert await answer.json() == {"kicked": 1}
        while (message := await trades.receive(20)).type is WSMsgType.TEXT:
            pass
        assert message.type is WSMsgType.CLOSE
        assert await receive(depth, 3)
        async with sim.session.post(sim.url + "/sim/kick") as answer:
            assert await answer.json() == {"kicked": 1}


async def test_a_mute_connection_answers_pings_and_speaks_again():
    """Nothing comes while another one hears everything; what was missed stays missed."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="mute", where=TRADES, after=2, seconds=0.5)
        socket = await sim.listen(TRADES)
        before = await ids(socket, 2)
        other = await sim.listen(TRADES)
        await ids(other, 3)
        assert (await sim.get("/sim/state"))["sockets"][0]["state"] == "mute"
        await socket.ping(b"there?")
        after = await ids(socket, 2)
        assert after[0] > before[-1] + 1
        assert after[1] == after[0] + 1


async def test_a_connection_that_hangs_answers_no_ping():
    """As if the other side had been stopped."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="hang", where=TRADES, after=1)
        async with sim.session.ws_connect(sim.streams + "/ws/" + TRADES, heartbeat=0.4) as socket:
            await ids(socket, 1)
            assert (await socket.receive(20)).type in {WSMsgType.CLOSED, WSMsgType.ERROR}


async def test_a_burst_holds_everything_back_and_loses_nothing():
    """What was held comes at once and in order."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="hold", where=TRADES, after=2, seconds=0.3)
        socket = await sim.listen(TRADES)
        told = await ids(socket, 60)
        assert told == list(range(told[0], told[0] + 60))
        assert await sim.happened() == ["hold"]


@pytest.mark.parametrize(
    ("form", "seen"),
    [("html", "<html>"), ("empty", ""), ("truncated", '{"e":"trade"'), ("null", '"p":null'), ("nan", '"p":"NaN"')],
)
async def test_a_message_is_garbage(form, seen):
    """Once; the next one is whole."""
    async with simulator(*FAST) as sim:
        await sim.fault(kind="garbage", where=TRADES, form=form)
        socket = await sim.listen(TRADES)
        broken = await socket.receive_str(timeout=20)
        assert seen in broken if seen else broken == ""
        assert await ids(socket, 1)


# Faults of requests


@pytest.mark.parametrize(
    ("status", "retry_after_s", "code"), [(429, 7, -1003), (418, 120, -1003), (503, -1, -1008), (502, -1, 0)]
)
async def test_a_request_is_refused(status, retry_after_s, code):
    """With the header that says how long to stay away, and the venue's code or no JSON at all."""
    async with simulator(*SYNTHETIC) as sim:
        rule = {"status": status, "retry_after_s": retry_after_s, "code": code, "msg": "no"}
        await sim.fault(kind="status", where="GET /api/v3/depth", **rule)
        async with sim.session.get(sim.url + "/api/v3/depth?symbol=BTCUSDT") as answer:
            assert answer.status == status
            assert answer.headers.get("Retry-After") == (str(retry_after_s) if retry_after_s > 0 else None)
            assert await answer.text() == (f'{{"code":{code},"msg":"no"}}' if code else "")
        assert (await sim.api("depth", symbol="BTCUSDT"))[0] == 200


@pytest.mark.parametrize("form", ["html", "empty", "truncated", "null", "nan"])
async def test_an_answer_is_garbage_with_a_status_of_200(form):
    """What reads it must not believe the status."""
    async with simulator(*SYNTHETIC) as sim:
        await sim.fault(kind="garbage", where="GET */ticker/bookTicker", form=form)
        async with sim.session.get(sim.url + "/api/v3/ticker/bookTicker?symbol=BTCUSDT") as answer:
            text = await answer.text()
            assert answer.status == 200
        if form in {"null", "nan"}:
            assert json.loads(text)["bidPrice"] in {None, "NaN"}
        else:
            with pytest.raises(json.JSONDecodeError):
                json.loads(text)


async def test_a_request_hangs_or_is_cut_off():
    """The first answers late, the second never, the third is right."""
    async with simulator(*SYNTHETIC) as sim:
        await sim.fault(kind="hang", where="GET /api/v3/time", seconds=0.2)
        await sim.fault(kind="disconnect", where="GET /api/v3/time", after=1, times=2)  # this client asks twice
        assert (await sim.api("time"))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await sim.api("time")
        assert (await sim.api("time"))[0] == 200
        assert await sim.happened() == ["hang", "disconnect", "disconnect"]


async def test_maintenance_closes_the_door_to_streams_too():
    """The opening of a socket is a request as well."""
    async with simulator(*SYNTHETIC) as sim:
        await sim.fault(kind="status", where="*", times=0, lasts_s=3600)
        assert (await sim.api("time"))[0] == 503
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await sim.session.ws_connect(sim.streams + "/ws/" + TRADES)
        assert refused.value.status == 503
        async with sim.session.delete(sim.url + "/sim/fault"):
            pass
        assert await receive(await sim.listen(QUOTES), 1)


async def test_who_asks_too_much_is_refused():
    """By the weight of what was asked, with the venue's words."""
    async with simulator(*SYNTHETIC, "--weight-limit", "60") as sim:
        answers = [await sim.api("depth", symbol="BTCUSDT", limit=5000) for _ in range(2)]
        assert answers[1][0] in {200, 429}  # the minute of the wall clock may turn in between
        while (answer := await sim.api("depth", symbol="BTCUSDT", limit=5000))[0] == 200:
            pass
        assert answer[0] == 429
        assert answer[1]["code"] == -1003


async def test_a_wrong_fault_is_answered_with_what_is_wrong():
    """And changes nothing."""
    async with simulator(*SYNTHETIC) as sim:
        for body in (b'{"kind":"drip","where":"*"}', b"7", b"{", b'[{"kind":"drop"}]'):
            for door in ("fault", "kick"):
                async with sim.session.post(f"{sim.url}/sim/{door}", data=body) as answer:
                    assert answer.status == 400 or door == "kick"
        assert (await sim.get("/sim/state"))["faults"] == {"rules": [], "happened": []}
        assert (await sim.api("nope"))[0] == 404
        async with sim.session.get(sim.url + "/sim/trades?symbol=NOPE") as answer:
            assert answer.status == 400


async def test_a_restarted_exchange_is_where_a_real_one_would_be():
    """What happened while nobody ran it can be asked for, and is the same as told by one that ran."""
    started = time.time_ns() - 3 * NS_PER_S
    arguments = (*SYNTHETIC, "--speed", "30", "--started-at", str(started))
    async with simulator(*arguments) as first:
        told = await receive(await first.listen(TRADES), 20)
    async with simulator(*arguments) as second:
        state = await second.get("/sim/state")
        assert state["symbols"]["BTCUSDT"]["last_trade_id"] >= told[-1]["t"] > 500
        truth = await second.get("/sim/trades")
        by_id = {each[0]: each for each in truth["trades"]}
        assert list(by_id) == list(range(1, truth["last"] + 1))
        assert [f"{by_id[each['t']][1]:.8f}" for each in told] == [each["p"] for each in told]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--synthetic", "--symbol", "DOGE/USDT"), "--symbol is 'DOGE/USDT'"),
        (("--synthetic", "--symbol", "BTC/USDT", "--symbol", "BTC/USDT"), "twice"),
        (("--capture", "/nowhere"), "cannot be read"),
        (("--synthetic", "--faults", "/nowhere"), "cannot be read"),
        (("--synthetic", "--weight-limit", "0"), "--weight-limit is 0"),
        (("--synthetic", "--port", "70000"), "--port is 70000"),
    ],
)
def test_mistakes_on_the_command_line_end_it(arguments, message, tmp_path, capsys):
    """With exit code 2 and the reason in the last line."""
    installed = Installation(tmp_path, "redis://127.0.0.1:1/0")
    assert main([*arguments, "--config-root", str(installed.folder)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "message"), [("- kind: drip\n  where: x", "rule 1"), ("kind: drop", "a list"), ("{", "neither YAML")]
)
def test_a_wrong_plan_of_faults_ends_it(content, message, tmp_path, capsys):
    """With the file, the rule and what is allowed."""
    installed = Installation(tmp_path, "redis://127.0.0.1:1/0")
    plan = tmp_path / "plan.yaml"
    plan.write_text(content)
    assert main(["--synthetic", "--faults", str(plan), "--config-root", str(installed.folder)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(plan) in said


@pytest.mark.processes
async def test_the_process_leaves_its_note_answers_and_goes(tmp_path):
    """As every daemon: a note with pid and health while it runs, nothing when it has been told to stop."""
    installed = Installation(tmp_path, "redis://127.0.0.1:1/0")
    plan = tmp_path / "plan.json"
    plan.write_text('[{"kind": "drop", "where": "*@trade", "times": 2}]')
    process = installed.start("sim_exchange", *FAST, "--port", "0", "--faults", str(plan))
    try:
        for _ in count():
            if installed.health("sim_exchange.main")[0] == 200:
                break
            assert process.poll() is None, installed.stderr(process)
        note = installed.note("sim_exchange.main")
        assert note["pid"] == process.pid
        assert note["health"] == note["url"] + "/health"
        async with aiohttp.ClientSession() as session:
            sim = Simulator(note["url"], session)
            told = await ids(await sim.listen(TRADES), 5)
            assert told == list(range(told[0], told[0] + 5))
            second = installed.run("-m", "apps.sim_exchange", *FAST, "--port", "0", "--config-root", str(tmp_path))
            assert second.returncode == 1
            assert "already running" in second.stderr
            assert len((await sim.get("/sim/state"))["faults"]["happened"]) == 2
            socket = await sim.listen(DEPTH)
            process.send_signal(signal.SIGINT)
            while (message := await socket.receive(20)).type is WSMsgType.TEXT:
                pass
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        assert process.wait(10) == 0
        assert installed.note("sim_exchange.main") == {}
    finally:
        process.kill()


def test_a_speed_is_a_number_or_max():
    """Shared with the other sources."""
    assert (speed("10x"), speed("max")) == (10.0, None)
