"""Who may open a cell after a start of the server: those who remember it, or whose journals were compared for them."""

from __future__ import annotations

import pytest

from core.errors import BusUnavailable, ForeignCell, HistoryForked
from core.runtime.archive import Archive
from core.sequencer.memory import MemoryCell, MemoryServer
from tests.runtime_lab import Lab, eventually, tally

OTHER = "portfolio_manager"


@pytest.fixture
async def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    await made.close()


async def two(lab):
    """A service and another one, both live and with a decision in their journals."""
    first = await lab.process().start()
    second = await lab.process(tally(name=OTHER), {"inputs": ["md.ticker.*"]}).start()
    await lab.send()
    await lab.decided(1)
    await eventually(lambda: first.archive.synced.get("risk.decisions", 0) > 0)
    return first, second


async def test_an_instance_that_has_ended_does_not_keep_the_cell_closed(lab):
    """Its journals lie here and agree with the server: another instance of this host says so for it."""
    first, second = await two(lab)
    await second.kill()
    lab.gone.add(f"{OTHER}.main")
    lab.server.restart()
    await eventually(lambda: first.status.reconnects == 1 and first.status.state == "live")
    with pytest.raises(BusUnavailable):
        await lab.send()  # the bus has not heard of the restart yet
    await lab.send()
    await lab.decided(2)


async def test_an_instance_that_hangs_must_speak_for_itself(lab):
    """Its process is there, so it may remember more than its journals: nobody publishes until it has compared."""
    first, second = await two(lab)
    await second.kill()  # for the others it still runs
    lab.server.restart()
    await eventually(lambda: first.status.state == "waiting" and "attest" in first.status.detail)
    assert lab.server.data.open_run != lab.server.run_id
    await lab.process(tally(name=OTHER), {"inputs": ["md.ticker.*"]}).start()
    await eventually(lambda: first.status.state == "live")


async def test_the_journals_of_an_ended_instance_are_compared_by_whoever_comes_first(lab):
    """They hold a line that the older server does not: the cell is forked, although that instance says nothing."""
    first, second = await two(lab)
    disk = lab.server.copy_of_disk()
    await lab.send()
    await lab.decided(2)
    seen = lab.server.data.seq
    await eventually(lambda: first.archive.synced.get("risk.decisions", 0) == seen)
    for process in (first, second):
        await process.kill()
    lab.gone.update({f"{OTHER}.main", "risk_engine.main"})
    lab.server.restart(disk)
    with pytest.raises(HistoryForked, match=r"risk\.decisions"):
        await lab.process(tally(name=OTHER), {"inputs": ["md.ticker.*"]}).start()
    assert lab.server.data.forked


async def test_journals_of_another_cell_close_nobody_elses(lab, tmp_path):
    """A wrong address is no fork: who brings the journals of one cell to the server of another is sent away."""
    first = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    await eventually(lambda: first.archive.synced.get("risk.decisions", 0) > 0)
    await first.stop()
    other = Lab(tmp_path / "other")
    await (await other.process().start()).stop()
    stranger = other.process()
    stranger.archive = stranger.shell._archive = Archive(stranger.cell, stranger.instance, lab.journals)
    with pytest.raises(ForeignCell, match="belong to cell"):
        await stranger.start()
    assert other.server.data.forked == ""
    await (await other.process().start()).stop()
    await other.close()


async def test_a_process_sent_to_another_cell_stops_and_leaves_it_alone(lab):
    """The server is replaced by one with a cell of its own under a running process: that cell stays open."""
    process = await lab.process().start()
    await lab.send()
    await lab.decided(1)
    foreign = MemoryServer()
    cell = MemoryCell(foreign)
    await cell.connect()
    await cell.create()
    lab.server.restart(foreign.copy_of_disk())
    assert isinstance(await process.ended(), ForeignCell)
    assert lab.server.data.forked == ""
