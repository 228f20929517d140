"""The kill file: there means halt, not being able to tell means halt, and the first reason stays."""

from __future__ import annotations

import json
import os
import resource
import socket
from contextlib import contextmanager

import pytest

from core.kill_switch import clear_file, file_tripped, read_file, trip_file


@pytest.fixture
def path(tmp_path):
    """Where the kill file goes; its folder exists, as the state directory of an installation does."""
    return tmp_path / "state.halt"


def test_plainly_missing_file_is_clear(path):
    """No file in a folder that exists: trading may go on."""
    assert read_file(path) == (False, "clear")
    assert file_tripped(str(path)) is False


def test_trip_and_clear(path):
    """A tripped switch is tripped until it is cleared."""
    trip_file(path, "exchange is down")
    assert read_file(path) == (True, f"file {path}: exchange is down")
    clear_file(path)
    assert file_tripped(path) is False


def test_file_is_one_json_line(path):
    """The file says in one JSON line why, who and when."""
    trip_file(str(path), "drill", by="ann@desk", at_ns=1_723_118_400_000_000_000)
    assert path.read_text() == '{"reason": "drill", "by": "ann@desk", "at_ns": 1723118400000000000}\n'


def test_who_and_when_are_filled_in(path):
    """Without being told, the file names this host and a time after 2024."""
    trip_file(path)
    written = json.loads(path.read_text())
    assert written["by"].endswith("@" + socket.gethostname())
    assert written["at_ns"] > 1_704_067_200_000_000_000  # 2024-01-01


def test_first_reason_is_kept(path):
    """Tripping a tripped switch changes nothing: the first reason is the cause."""
    trip_file(path, "first")
    trip_file(path, "second")
    assert read_file(path).reason.endswith("first")


def test_clearing_a_clear_switch_is_no_error(path):
    """Clearing twice is the same as clearing once."""
    clear_file(path)
    clear_file(path)
    assert file_tripped(path) is False


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no reason given"),  # `touch`
        (b"halted by hand\nsecond line", "halted by hand"),
        (b'{"reason": "drill"}', "drill"),
        (b'{"reason": null}', "no reason given"),
        (b"[1, 2]", "no reason given"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 4096, "[" * 4096),  # nested deeper than any parser follows
    ],
)
def test_any_file_halts_whatever_is_in_it(path, content, reason):
    """What counts is that the file exists; a reason is read out of it where there is one."""
    path.write_bytes(content)
    assert read_file(path) == (True, f"file {path}: {reason}")


def test_folder_that_is_missing_halts(tmp_path):
    """A state directory that is not there, such as a disk that is not mounted, is no clear switch."""
    seen = read_file(tmp_path / "unmounted" / "halt")
    assert seen.tripped
    assert "unmounted" in seen.reason


def test_folder_that_is_a_file_halts(tmp_path):
    """A file where the folder should be cannot be looked into."""
    (tmp_path / "state").write_text("")
    assert file_tripped(tmp_path / "state" / "halt")


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_path_that_cannot_be_looked_up_halts(tmp_path, name):
    """A path that the system refuses is unreadable, so it halts."""
    assert file_tripped(os.path.join(tmp_path, name))


def test_dangling_link_halts(path):
    """A link is a file that somebody put there, even if it leads nowhere; clearing removes it."""
    path.symlink_to("nowhere")
    assert file_tripped(path)
    clear_file(path)
    assert not file_tripped(path)


def test_what_cannot_be_opened_halts_without_blocking(path):
    """A named pipe is not opened, which would wait for a writer for ever."""
    os.mkfifo(path)
    assert read_file(path) == (True, f"file {path} exists")


def test_folder_in_place_of_the_file_halts_and_is_not_removed(path):
    """A folder under the name of the file halts, stays tripped, and clearing it says that it failed."""
    path.mkdir()
    trip_file(path, "second")
    assert file_tripped(path)
    with pytest.raises((IsADirectoryError, PermissionError)):
        clear_file(path)


@contextmanager
def without_rights():
    """Act as a user who owns nothing here; anybody but root has no more rights than that already."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.mark.parametrize("closed", ["state", "state/halt"])
def test_wrong_permissions_halt(tmp_path, monkeypatch, closed):
    """A switch that this user may not look at is tripped, whether its folder or the file is closed."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    os.mkdir("state")
    trip_file("state/halt", "drill")
    os.chmod(closed, 0)
    with without_rights():
        seen = read_file("state/halt")
    os.chmod(closed, 0o700)
    assert seen == (
        True,
        "file state/halt" + (" " if closed == "state" else ": ") + "cannot be read (Permission denied)",
    )


def test_closed_folder_halts_without_a_file(tmp_path, monkeypatch):
    """A folder that may not be looked into is no proof that the file is missing."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    os.mkdir("state", 0)
    with without_rights():
        assert file_tripped("state/halt")
    os.chmod("state", 0o700)


def test_trip_makes_missing_folders(tmp_path):
    """An emergency does not wait for somebody to make the folder."""
    path = tmp_path / "not" / "yet" / "halt"
    trip_file(path, "drill")
    assert read_file(path).reason.endswith("drill")


def test_trip_works_where_no_byte_can_be_written(path):
    """On a full disk the reason is lost, the halt is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        trip_file(path, "disk is full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_file(path) == (True, f"file {path}: no reason given")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # no scratch file is left


def test_trip_that_cannot_be_made_raises(tmp_path):
    """Somebody who could not trip the switch is told so."""
    (tmp_path / "state").write_text("")
    with pytest.raises((FileExistsError, NotADirectoryError)):
        trip_file(tmp_path / "state" / "halt", "drill")
