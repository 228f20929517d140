"""`config/data_sources.yaml`: which sources there are, in which order, and how each mistake in it is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from core.config import Config, content_for, load_config
from core.config_sections import SERVICE_NAMES, DataSourceEntry
from core.contracts import OHLCVBar
from core.data_source_files import DatasetsSource, JournalSource
from core.data_source_loading import load_sources
from core.errors import ConfigError
from scripts.njord_config import main
from tests.test_config import MINIMAL, ROOT, refusal, written

BTC = "BTC/USDT"
MINUTE = 60_000_000_000

FEEDS = '''
from core.contracts import OHLCVBar
from core.data_sources import DataSourceBase, Series

MINUTE = 60_000_000_000


class Steps(DataSourceBase):
    """Minutes whose prices rise by one."""

    def __init__(self, count, *, first=1.0):
        if count < 0:
            raise ValueError("count is below 0")
        self.count, self.first = count, first

    def series(self):
        return [Series("bars", "BTC/USDT", "1m", 0, (self.count - 1) * MINUTE)]

    def bars(self, symbol, timeframe, start_ns, end_ns):
        for each in range(self.count if (symbol, timeframe) == ("BTC/USDT", "1m") else 0):
            price = self.first + each
            if start_ns <= each * MINUTE < end_ns:
                yield OHLCVBar(symbol, timeframe, each * MINUTE, (each + 1) * MINUTE, price, price, price, price, 1.0)


class NoSource:
    def bars(self):
        return ()


NUMBER = 7
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of a user's own, with a class for data sources in it."""
    folder = tmp_path / "plugins" / "desk_of_mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "feeds.py").write_text(FEEDS)
    (folder / "broken.py").write_text("import no_such_package_of_anybody\n")
    (folder / "raising.py").write_text("raise RuntimeError('no license')\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield "desk_of_mine"
    for name in [name for name in sys.modules if name.partition(".")[0] == "desk_of_mine"]:
        del sys.modules[name]


def config_with(tmp_path: Path, text: str) -> Config:
    """The configuration with such a file of data sources."""
    return load_config(written(tmp_path, data_sources=text), environ={})


def test_the_shipped_file_says_what_is_so_without_it(tmp_path: Path) -> None:
    """First what this machine has recorded, then its datasets, where `paths` says that they are."""
    shipped, bare = load_config(ROOT, environ={}), load_config(written(tmp_path), environ={})
    assert shipped.data_sources == bare.data_sources == Config.model_validate(MINIMAL).data_sources
    sources = load_sources(bare)
    recorded, history = map(sources.source, sources.names)
    assert sources.names == ("recorded", "history")
    assert isinstance(recorded, JournalSource)
    assert recorded.folder == tmp_path / "var" / "log" / "njord"
    assert isinstance(history, DatasetsSource)
    assert history.folder == tmp_path / "var" / "history"
    text = (ROOT / "config" / "data_sources.yaml").read_text()
    assert all(f"#   {key}" in text for key in ("id", "type", "path", "datasets", "class", "params"))


def test_no_profile_is_called_so(tmp_path: Path) -> None:
    """The file is none that could be laid over the base, and it is among those that are watched for changes."""
    root = written(tmp_path, data_sources="sources: [{id: a, type: journals}]\n")
    assert refusal(root, "data_sources") == ["profile 'data_sources' does not exist in config/; allowed: none"]
    assert root / "config" / "data_sources.yaml" in load_config(root, environ={}).files


def test_no_service_decides_by_it(tmp_path: Path) -> None:
    """Another source is no other configuration of any service: nothing is reloaded, no hash changes."""
    before = load_config(written(tmp_path), environ={})
    parts = {name: content_for(name, before) for name in SERVICE_NAMES}
    after = config_with(tmp_path, "sources: [{id: other, type: journals, path: elsewhere}]\n")
    assert {name: content_for(name, after) for name in SERVICE_NAMES} == parts


def test_paths_are_under_the_root(tmp_path: Path) -> None:
    """Relative ones under the folder that holds config/, absolute ones as they are."""
    text = "sources:\n- {id: a, type: journals, path: feeds/a}\n- {id: b, type: datasets, path: /data/b}\n"
    sources = load_sources(config_with(tmp_path, text))
    a, b = map(sources.source, sources.names)
    assert isinstance(a, JournalSource)
    assert isinstance(b, DatasetsSource)
    assert (a.folder, b.folder) == (tmp_path / "feeds" / "a", Path("/data/b"))


def test_a_class_of_one_s_own(tmp_path: Path, package: str) -> None:
    """Three minutes at prices from 5 on, through the file; made into a longer bar like everybody's."""
    text = f"sources:\n- id: mine\n  class: {package}.feeds.Steps\n  params: {{count: 3, first: 5.0}}\n"
    sources = load_sources(config_with(tmp_path, text))
    bars = list(sources.bars(BTC, "1m", 0, 1 << 62))
    assert [(bar.ts_open // MINUTE, bar.close) for bar in bars] == [(0, 5.0), (1, 6.0), (2, 7.0)]
    (longer,) = sources.bars(BTC, "3m", 0, 1 << 62)
    assert longer == OHLCVBar(BTC, "3m", 0, 3 * MINUTE, 5.0, 7.0, 5.0, 7.0, 3.0)
    assert [bar.close for bar in sources.last_bars(BTC, "1m", 2 * MINUTE, 1)] == [6.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [{id: a, type: journal}]", "sources[0].type is 'journal'; allowed: 'journals' or 'datasets'"),
        ("sources: [{id: a}]", "sources[0] is {'id': 'a'}; allowed: exactly one of type and class"),
        (
            "sources: [{id: a, type: journals, class: x.Y}]",
            "sources[0] is {'id': 'a', 'type': 'journals', 'class': 'x.Y'}; allowed: exactly one of type and class",
        ),
        (
            "sources: [{id: a, type: journals, datasets: [x]}]",
            "sources[0].datasets is ['x']; allowed: only with type: datasets",
        ),
        (
            "sources: [{id: a, type: journals, params: {x: 1}}]",
            "sources[0].params is {'x': 1}; allowed: only with class",
        ),
        ("sources: [{id: a, class: x.Y, path: z}]", "sources[0].path is 'z'; allowed: only with type"),
        (
            "sources: [{id: a, type: journals, pth: x}]",
            "sources[0].pth: unknown key; did you mean 'path'? allowed: id, type, class, path, datasets, params",
        ),
        (
            "sources: [{id: a, type: journals}, {id: a, type: datasets}]",
            "sources[1].id is 'a', as that of sources[0]; allowed: each id once",
        ),
        ("sources: [{type: journals}]", "sources[0].id: is missing"),
        ("source: []", "source: unknown key; did you mean 'sources'? allowed: sources"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, text: str, said: str) -> None:
    """File, line, key, value and what is allowed, as in every other file of the configuration."""
    assert refusal(written(tmp_path, data_sources=text)) == [f"config/data_sources.yaml:1: {said}"]


@pytest.mark.parametrize(
    "text", ["sources: []", "sources: [{id: a/b, type: journals}]", "sources: [{id: a, class: x}]"]
)
def test_values_of_the_wrong_form(tmp_path: Path, text: str) -> None:
    """No sources at all, an id that a command line cannot name, a class without its module."""
    (line,) = refusal(written(tmp_path, data_sources=text))
    assert line.startswith("config/data_sources.yaml:1: sources")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("class: desk_of_mine.feds.Steps", "class is 'desk_of_mine.feds.Steps', and there is no module "
         "desk_of_mine.feds; did you mean 'feeds'? allowed: broken, feeds, raising"),
        ("class: nowhere_at_all.Steps", "class is 'nowhere_at_all.Steps', and there is no module nowhere_at_all; "
         "allowed: a module that can be imported from where the command is started"),
        ("class: desk_of_mine.feeds.Stps", "class is 'desk_of_mine.feeds.Stps', and desk_of_mine.feeds has no Stps; "
         "did you mean 'Steps'? allowed: DataSourceBase, Steps"),
        ("class: desk_of_mine.feeds.NoSource", "class is 'desk_of_mine.feeds.NoSource', without series, trades, books, "
         "tickers, actions; allowed: an heir of core.data_sources.DataSourceBase"),
        ("class: desk_of_mine.feeds.NUMBER", "class is 'desk_of_mine.feeds.NUMBER'; allowed: an heir of "
         "core.data_sources.DataSourceBase"),
        ("class: desk_of_mine.broken.X", "class is 'desk_of_mine.broken.X', and desk_of_mine.broken cannot be "
         "imported: No module named 'no_such_package_of_anybody'"),
        ("class: desk_of_mine.raising.X", "class is 'desk_of_mine.raising.X', and desk_of_mine.raising cannot be "
         "imported: RuntimeError: no license"),
        ("class: desk_of_mine.feeds.Steps, params: {count: 1, frist: 2}", "params.frist: unknown key; did you mean "
         "'first'? allowed: count, first"),
        ("class: desk_of_mine.feeds.Steps", "params.count: is missing"),
        ("class: desk_of_mine.feeds.Steps, params: {count: -1}", "class desk_of_mine.feeds.Steps refuses its params: "
         "ValueError: count is below 0"),
        ("type: datasets, datasets: [spot]", "datasets has 'spot', which is not in {folder}; allowed: none"),
    ],
)  # fmt: skip
def test_sources_that_cannot_be_used(tmp_path: Path, package: str, entry: str, said: str) -> None:
    """Each is named with its id; `njord_config check` says the same."""
    config = config_with(tmp_path, f"sources: [{{id: mine, {entry}}}]")
    with pytest.raises(ConfigError) as error:
        load_sources(config)
    folder = str(tmp_path / "var" / "history")
    assert str(error.value) == f"data_sources.yaml: source 'mine': {said.replace('{folder}', folder)}"


def test_all_of_them_are_named_at_once(tmp_path: Path, package: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per mistake, from the command that checks the configuration, with exit code 1."""
    text = f"sources:\n- {{id: a, class: {package}.feds.X}}\n- {{id: b, class: {package}.feeds.Steps}}\n"
    config_with(tmp_path, text)
    assert main(["check", "--config-root", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["data_sources.yaml", "source 'a'"],
        ["data_sources.yaml", "source 'b'"],
    ]


def test_show_and_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every setting in force with its place, and a schema that an editor checks the shipped file by."""
    config_with(tmp_path, "sources:\n- id: mine\n  class: a.B\n  params: {folder: /x, api_key: hunter2}\n")
    assert main(["show", "--config-root", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data_sources")]
    assert lines == [
        'data_sources[mine].id: "mine"  # config/data_sources.yaml:2',
        'data_sources[mine].class: "a.B"  # config/data_sources.yaml:3',
        'data_sources[mine].params.folder: "/x"  # config/data_sources.yaml:4',
        'data_sources[mine].params.api_key: "***"  # config/data_sources.yaml:4',
    ]
    assert main(["schema", "data_sources"]) == 0
    schema = json.loads(capsys.readouterr().out)
    entries = [DataSourceEntry(id="a", type="journals"), *load_config(ROOT, environ={}).data_sources]
    shown = [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in entries]
    Draft202012Validator(schema).validate({"sources": shown})
    assert list(Draft202012Validator(schema).iter_errors({"sources": [{"id": "a", "typ": "x"}]}))
