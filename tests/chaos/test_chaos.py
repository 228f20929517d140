"""The installation under random faults, once with a fixed seed; `make chaos` runs longer with seeds of its own."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import run


@pytest.mark.chaos
@pytest.mark.redis
@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_different_after_chaos(tmp_path, redis_server):
    """Killed, frozen, cut off, doubled, and its server set back: every line once, every decision repeatable."""
    wrong = run(tmp_path / "world", seconds=40, seed=20_240_808, loss=0.002, fork=True)["wrong"]
    assert wrong == [], wrong
