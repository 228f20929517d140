"""What must be true after chaos, whatever happened; every finding is a sentence."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice, takewhile
from pathlib import Path

from backtest.journal_index import JournalIndex
from backtest.journals import Line, read_record
from backtest.reexecution import Reexecution
from backtest.services import SERVICES
from core import codec
from core.contracts import Event, FillEvent, OrderEvent, OrderIntent, OrderUpdate, RiskDecision, TradeEvent
from core.execution.order_state import TERMINAL
from core.journal_files import journals_in
from core.ledger import PositionBook
from core.market.records import TradeRecord
from core.market.source import Source, Tails
from core.market.synthetic_market import SyntheticMarket
from core.sequencer.redis import RedisCell
from tests.chaos.world import World


def check(world: World, sources: dict[str, tuple[Source, bool]], markets: dict[str, SyntheticMarket]) -> list[str]:
    """Every oracle.

    Args:
        world: the installation, with all services ended and the server running.
        sources: per symbol a fresh source, and whether it has an end.
        markets: what the simulated exchange traded, per symbol that was heard through its sockets.
    """
    folders = [world.journals, *(path for path in [world.folder / "h2/var/log/njord"] if path.is_dir())]
    record = read_record(folders)
    wrong = [f"{finding.file}: {finding.what}" for finding in record.findings]
    for symbol, (source, ends) in sources.items():
        wrong += _market_data(symbol, source, ends, record.lines)
    for symbol, market in markets.items():
        wrong += _live_trades(symbol, market, record.lines)
    wrong += _once(record.lines)
    run = Reexecution(SERVICES, record.lines)
    run.run()
    wrong += [f"parity: {difference}" for difference in run.differences]
    wrong += asyncio.run(_states(world, run))
    wrong += _ledgers(record.lines)
    wrong += _streams_equal_journals(world, record.lines)
    wrong += [f"a script failed: {end}" for end in world.exits if ".py:" in end and not end.endswith((":0", ":-9"))]
    wrong += _rotated(world)
    wrong += _indexed(world)
    return wrong


def _rotated(world: World) -> list[str]:
    """Journals were rotated and compressed meanwhile, or this run has proved nothing about that."""
    found = file_counts(world.journals)
    return [f"no {form} journal files" for form, count in found.items() if not count]


def file_counts(folder: Path) -> dict[str, int]:
    """How many finished files there are, and how many of them are compressed."""
    files = [file for each in journals_in(folder).values() for file in each if not file.active]
    return {"finished": len(files), "compressed": sum(file.compressed for file in files)}


def _indexed(world: World) -> list[str]:
    """The index, made and interrupted at any time, finds every line of this host's journals as it stands."""
    index = JournalIndex(world.journals / ".index.sqlite", [world.journals])
    try:
        index.update()
        found = [each.line for each in index.find()]
    finally:
        index.close()
    expected = [line.raw for line in read_record([world.journals]).lines]
    return [] if found == expected else [f"the index finds {len(found)} lines of {len(expected)}"]


def _market_data(symbol: str, source: Source, ends: bool, lines: Iterable[Line]) -> list[str]:
    """What the source gives, once each, in its order, and all of it if it has an end."""
    instance = "md_ingest." + symbol.replace("/", "")
    published = [line.raw for line in lines if line.header.src == instance and line.header.type in _MARKET]
    expected = list(islice(_bodies(source), None if ends else len(published)))
    got = [codec.body_of(raw) for raw in published]
    if got == expected and got:
        return []
    first = next((i for i, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1]), "the end")
    return [f"{symbol}: {len(got)} events published, {len(expected)} expected; they part at {first}"]


def _live_trades(symbol: str, market: SyntheticMarket, lines: Iterable[Line]) -> list[str]:
    """Every trade of the exchange since the first one that was heard, once, in its order, as it was."""
    instance = "md_ingest." + symbol.replace("/", "")
    heard = [
        codec.decode(line.raw, TradeEvent)
        for line in lines
        if line.header.src == instance and line.header.type == "TradeEvent"
    ]
    if not heard:
        return [f"{symbol}: no trade was heard"]
    first, last = int(heard[0].trade_id), int(heard[-1].trade_id)
    traded = takewhile(
        lambda trade: int(trade.trade_id) <= last, (each for each in market.records() if isinstance(each, TradeRecord))
    )
    truth = [(int(trade.trade_id), *trade[1:5]) for trade in traded if int(trade.trade_id) >= first]
    got = [(int(trade.trade_id), trade.price, trade.qty, trade.side, trade.ts) for trade in heard]
    if got == truth:
        return []
    part = next((i for i, pair in enumerate(zip(got, truth, strict=False)) if pair[0] != pair[1]), "the end")
    gaps = sum(line.header.src == instance and line.header.type == "TradeGap" for line in lines)
    return [f"{symbol}: {len(got)} trades heard of {len(truth)} ({gaps} gaps told); they part at {part}"]


_MARKET = {"TradeEvent", "BookEvent", "TickerEvent", "Watermark"}


def _bodies(source: Source) -> Iterator[bytes]:
    for due in source.records(Tails()):
        yield from (codec.encode(event) for event in due.events)


def _once(lines: Iterable[Line]) -> list[str]:
    """No intent, decision, order or fill twice; each where it follows from the one before."""
    ids: dict[type[Event], Counter[str]] = {
        kind: Counter() for kind in (OrderIntent, RiskDecision, OrderEvent, FillEvent)
    }
    allowed = set()
    for line in lines:
        match line.header.type:
            case "OrderIntent":
                ids[OrderIntent][codec.decode(line.raw, OrderIntent).intent_id] += 1
            case "RiskDecision":
                decision = codec.decode(line.raw, RiskDecision)
                ids[RiskDecision][decision.intent_id] += 1
                if decision.allowed:
                    allowed.add(decision.intent_id)
            case "OrderEvent":
                ids[OrderEvent][codec.decode(line.raw, OrderEvent).intent_id] += 1
            case "FillEvent":
                ids[FillEvent][codec.decode(line.raw, FillEvent).fill_id] += 1
    wrong = [
        f"{kind.__name__} {key} is there {n} times" for kind, seen in ids.items() for key, n in seen.items() if n > 1
    ]
    if set(ids[OrderIntent]) != set(ids[RiskDecision]):
        wrong.append("intents and decisions do not pair")
    if allowed != set(ids[OrderEvent]):
        wrong.append("allowed decisions and orders do not pair")
    return wrong + _ends(lines)


def _ends(lines: Iterable[Line]) -> list[str]:
    """Every order is answered, ends at most once, and its fills add up to what its last update says."""
    ordered: set[str] = set()
    last: dict[str, OrderUpdate] = {}
    filled: dict[str, Decimal] = {}
    wrong = []
    for line in lines:
        match line.header.type:
            case "OrderEvent":
                ordered.add(codec.decode(line.raw, OrderEvent).order_id)
            case "FillEvent":
                fill = codec.decode(line.raw, FillEvent)
                filled[fill.order_id] = filled.get(fill.order_id, Decimal(0)) + fill.qty
            case "OrderUpdate":
                update = codec.decode(line.raw, OrderUpdate)
                before = last.get(update.order_id)
                if before is not None and before.status in TERMINAL and before.status is not update.status:
                    wrong.append(f"order {update.order_id} went from {before.status} to {update.status}")
                last[update.order_id] = update
    wrong += [f"order {name} was never answered" for name in ordered - set(last)]
    wrong += [
        f"order {name}: fills of {filled.get(name, 0)}, its last update says {update.cum_qty}"
        for name, update in last.items()
        if filled.get(name, Decimal(0)) != update.cum_qty
    ]
    return wrong


async def _states(world: World, run: Reexecution) -> list[str]:
    """The stored memory of every service is the one that executing its journals again gives."""
    cell = RedisCell(world.server.url)
    await cell.connect()
    wrong = []
    for instance, replica in run.replicas.items():
        saved = await cell.saved_state(instance)
        if saved is None or saved.state != codec.encode_state(replica.runner.snapshot()):
            wrong.append(f"the stored state of {instance} is not the re-executed one")
    await cell.close()
    return wrong


def _ledgers(lines: Iterable[Line]) -> list[str]:
    """Positions that the strategies hold equal the sum of the fills."""
    book = PositionBook()
    net: Counter[str] = Counter()
    for line in lines:
        if line.header.type == "FillEvent":
            fill = codec.decode(line.raw, FillEvent)
            book.apply(fill)
            net[f"{fill.strategy_id} {fill.symbol}"] += int(fill.qty * 10**8) * (1 if fill.side == "buy" else -1)
    wrong = []
    for key, total in net.items():
        strategy_id, symbol = key.split(" ")
        held = book.snapshot_of(strategy_id, symbol, 0).qty
        if round(held * 10**8) != total:
            wrong.append(f"position {key} is {held}, its fills add up to {total / 10**8}")
    return wrong


def _streams_equal_journals(world: World, lines: Iterable[Line]) -> list[str]:
    """What the server still holds is, byte for byte, the end of what the journals hold."""
    by_topic: dict[str, list[bytes]] = {}
    for line in lines:
        by_topic.setdefault(line.topic, []).append(line.raw)

    async def compare() -> list[str]:
        cell = RedisCell(world.server.url)
        await cell.connect()
        wrong = []
        for topic, last in (await cell.last_seqs()).items():
            held = [raw for _, raw in await cell.read([topic], 0, 1 << 53)]
            if held != by_topic.get(topic, [])[-len(held) :] or (held and codec.seq_of(held[-1]) != last):
                wrong.append(f"stream {topic} is not the end of its journal")
        await cell.close()
        return wrong

    return asyncio.run(compare())


def counts(folder: Path) -> dict[str, int]:
    """Lines per topic, for the report."""
    return dict(Counter(line.topic for line in read_record([folder]).lines))
