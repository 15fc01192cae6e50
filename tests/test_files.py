"""Atomic writing: after any accident there is the old file or the new one, and no litter."""

import errno
import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nst_lib import files
from nst_lib.errors import CheckpointError, NSTError
from nst_lib.files import DAMAGED, atomic_path, atomic_write, beside, check_writable, save_elsewhere


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that exists already, alone in its folder."""
    path = tmp_path / "weights.npz"
    path.write_bytes(b"old")
    return path


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_writes_a_new_file_and_replaces_an_old_one(old):
    for path in (old, old.with_name("новый файл.npz")):
        with atomic_write(path) as file:
            file.write(b"new")
        assert path.read_bytes() == b"new"
    assert len(list(old.parent.iterdir())) == 2


def test_the_old_file_stays_in_place_until_the_block_ends(old):
    with atomic_write(old) as file:
        file.write(b"new")
        file.flush()
        assert old.read_bytes() == b"old"


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="Unix permissions")
def test_permissions_are_those_of_the_old_file_and_of_a_new_one_follow_the_umask(old):
    old.chmod(0o604)
    new = old.with_name("new.npz")
    before = os.umask(0o027)
    try:
        for path in (old, new):
            with atomic_write(path) as file:
                file.write(b"new")
    finally:
        os.umask(before)
    assert old.stat().st_mode & 0o777 == 0o604 and new.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("read_only", ["weights.npz", "."])
def test_a_read_only_file_or_folder_is_refused_before_the_work(old, monkeypatch, read_only):
    refused = (old.parent / read_only).resolve()  # not by its permissions: root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).resolve() != refused)
    with pytest.raises(NSTError, match=f"cannot write {old}: .*read-only. Choose another"):
        check_writable(old)
    with pytest.raises(NSTError, match="read-only"), atomic_write(old):
        pytest.fail("the block must not run")
    assert old.read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of Unix")
def test_a_pipe_or_a_link_does_not_need_its_own_folder_to_be_writable(old, tmp_path, monkeypatch):
    folder = tmp_path / "dev"
    folder.mkdir()
    os.mkfifo(folder / "stdout")
    (folder / "link").symlink_to(old)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != folder)
    check_writable(folder / "stdout")
    check_writable(folder / "link")
    with pytest.raises(NSTError, match="dev is read-only"):
        check_writable(folder / "new")


def test_a_path_for_programs_that_open_files_themselves(old):
    with atomic_path(old) as unfinished:
        assert unfinished.suffix == ".npz" and unfinished.parent == old.parent and unfinished.stat().st_size == 0
        unfinished.write_bytes(b"new")
        assert old.read_bytes() == b"old"
    assert old.read_bytes() == b"new" and list(old.parent.iterdir()) == [old]
    with pytest.raises(ValueError, match="a bug"), atomic_path(old) as unfinished:
        raise ValueError("a bug")
    assert old.read_bytes() == b"new" and list(old.parent.iterdir()) == [old]


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of Unix")
def test_links_and_pipes_stay_what_they_are(old, tmp_path):
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(old.name)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and old.read_bytes() == b"new"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with atomic_write(pipe) as file:
        file.write(b"through")
    reader.join(10)
    assert read == [b"through"] and pipe.is_fifo()


@pytest.mark.parametrize("accident", [ValueError("a bug"), KeyboardInterrupt(), NSTError("not this")])
def test_an_exception_in_the_block_passes_through_and_leaves_the_old_file(old, accident):
    with pytest.raises(type(accident)) as caught, atomic_write(old) as file:
        file.write(b"half of the n")
        raise accident
    assert caught.value is accident
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_litter(old, monkeypatch, moment):
    monkeypatch.setattr(os, moment, no_space)
    with pytest.raises(CheckpointError, match="No space left") as caught, atomic_write(old, CheckpointError) as file:
        file.write(b"new")
    assert str(old) in str(caught.value) and "Free some space" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_disk_that_is_full_while_writing(old):
    with pytest.raises(NSTError, match="No space left on device"), atomic_write(old) as file:
        file.write(b"half of the n")
        no_space()
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_a_killed_process_leaves_the_old_file(old):
    script = "import os, sys; from nst_lib.files import atomic_write\n"
    script += "with atomic_write(sys.argv[1]) as file: file.write(b'new'); file.flush(); os._exit(9)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", script, str(old)], cwd=root, check=False).returncode == 9
    assert old.read_bytes() == b"old"


def test_a_missing_folder_is_an_error_and_is_not_made(tmp_path):
    path = tmp_path / "nowhere" / "a.npz"
    with pytest.raises(NSTError, match=r"nowhere does not exist\. Make it first"), atomic_write(path):
        pytest.fail("the block must not run")
    assert not path.parent.exists()


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(NSTError, match="it is a folder"), atomic_write(tmp_path):
        pytest.fail("the block must not run")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(old):
    old.parent.chmod(0o500)
    try:
        with pytest.raises(NSTError, match="is read-only"), atomic_write(old):
            pytest.fail("the block must not run")
    finally:
        old.parent.chmod(0o700)
    assert old.read_bytes() == b"old"


def test_a_read_only_folder_simulated(old, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(NSTError, match=r"Permission denied.*choose another folder"), atomic_write(old):
        pytest.fail("the block must not run")
    monkeypatch.undo()
    assert old.read_bytes() == b"old"
    assert list(old.parent.iterdir()) == [old]


def test_what_finds_no_room_goes_to_another_place_and_leaves_no_folder_where_there_is_none(tmp_path, monkeypatch):
    full, home = tmp_path / "full", tmp_path / "home"
    full.mkdir()
    monkeypatch.setattr(files.tempfile, "tempdir", str(full))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))

    def save(path):
        path.write_bytes(b"half of the n")
        if path.is_relative_to(full):
            no_space()

    assert save_elsewhere("there/o.png", save) is None
    home.mkdir()
    spare = save_elsewhere("there/o.png", save)
    assert spare.name == "o.png" and spare.is_file() and spare.parents[1] == home
    assert not list(full.iterdir())


def test_what_is_written_beside_a_file_replaces_no_stranger_but_what_an_earlier_run_wrote(tmp_path):
    output, text = tmp_path / "o.png", tmp_path / "o.txt"
    assert beside(output, text) == text
    text.write_text("a stranger's")
    assert beside(output, text) == tmp_path / "o-2.txt"
    output.touch()
    assert beside(output, text) == text  # as far as one can know
    (tmp_path / "o-2.txt").touch()
    assert beside(output, text) == tmp_path / "o-2.txt"
    (tmp_path / "o-2.png").touch()  # to which that belongs
    assert beside(output, text) == text


@pytest.mark.parametrize("header", [b"{'descr': (((", b"  {\n {", b"\0" * 20, b"[" * 60])
def test_whatever_numpy_says_of_a_damaged_array_is_known(tmp_path, header):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(3))
    data = bytearray(file.getvalue())
    data[10 : 10 + len(header)] = header
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", bytes(data))
    with np.load(tmp_path / "a.npz") as arrays, pytest.raises(DAMAGED):
        arrays["a"]
