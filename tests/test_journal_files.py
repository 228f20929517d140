"""The names of journal files."""

from pathlib import Path

import pytest

from core import topics
from core.journal_files import files_of, journals_in, parse

BARS = "ohlcv.1m.ATOMUSDT"


def test_the_files_of_a_journal_are_listed_from_the_oldest_to_the_one_being_written(tmp_path):
    """By day, then by part: the tenth behind the ninth; what is plain and compressed counts once, as plain."""
    names = [
        f"{BARS}.20250929.ndjson.gz",
        f"{BARS}.20250930.ndjson",
        f"{BARS}.20250930.ndjson.gz",
        f"{BARS}.20250930.9.ndjson.gz",
        f"{BARS}.20250930.10.ndjson",
        f"{BARS}.ndjson",
    ]
    for name in [*names, "app.ndjson", "app.20250930.ndjson", "cell.id", f"{BARS}.cut", f".{BARS}.20250930.ndjson.gz"]:
        (tmp_path / name).touch()
    found = files_of(tmp_path, BARS)
    assert [file.path.name for file in found] == [names[0], names[1], *names[3:]]
    assert [(file.day, file.part, file.active, file.compressed) for file in found] == [
        ("20250929", 0, False, True),
        ("20250930", 0, False, False),
        ("20250930", 9, False, True),
        ("20250930", 10, False, False),
        ("", 0, True, False),
    ]
    assert journals_in(tmp_path) == {BARS: found}


def test_a_folder_that_is_not_there_holds_no_journals(tmp_path):
    """Nor does it raise."""
    assert journals_in(tmp_path / "missing") == {}


def test_journals_whose_names_begin_alike_are_kept_apart(tmp_path):
    """ATOM's files are not those of ATOMX, and brackets in a name are no pattern."""
    for name in ("fills.ATOM.ndjson", "fills.ATOMX.ndjson", "stray.a[b].ndjson", "stray.ab.ndjson"):
        (tmp_path / name).touch()
    assert [file.path.name for file in files_of(tmp_path, "fills.ATOM")] == ["fills.ATOM.ndjson"]
    assert [file.path.name for file in files_of(tmp_path, "stray.a[b]")] == ["stray.a[b].ndjson"]


@pytest.mark.parametrize("name", ["alerts", "alerts.20250930", "alerts.20250930.1", "alerts.20250930=", "a.20250930=="])
def test_a_topic_that_ends_like_a_day_keeps_a_journal_of_its_own(name):
    """Its file is never taken for one day of another topic's journal, and leads back to it."""
    file = topics.stray_journal(name)
    assert topics.stray_topic(file) == name
    others = {"alerts", "alerts.20250930", "alerts.20250930="} - {name}
    assert file not in {topics.stray_journal(other) for other in others}
    assert parse(Path(file)) == (file.removesuffix(".ndjson"), "", 0, Path(file))


def test_an_instance_that_is_named_like_a_day_keeps_its_journals_apart():
    """Its session journal is not that day's file of another instance."""
    name = "control.session.risk_engine.20250930"
    assert topics.SESSION.journal_name(name) == "control.session.risk_engine.20250930=.ndjson"
