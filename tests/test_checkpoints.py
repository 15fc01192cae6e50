"""Checkpoints: what goes in comes out, and no accident with the file is more than a sentence."""

import errno
import json
import os

import numpy as np
import pytest

from nst_lib import checkpoints
from nst_lib.errors import CheckpointError

HEADER = {"settings": {"size": 64, "name": "Мона Лиза"}, "list": [1, 2.5, None, True]}
ARRAYS = {"picture": np.random.default_rng(0).uniform(size=(4, 5, 3)).astype("float32"), "empty": np.zeros((0, 3))}


@pytest.fixture
def path(tmp_path):
    return checkpoints.write(tmp_path / "run.npz", HEADER, ARRAYS)


def test_what_goes_in_comes_out(path):
    header, arrays = checkpoints.read(path)
    assert header == HEADER
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_numbers_of_numpy_come_back_as_plain_ones(tmp_path):
    header = {"size": np.int64(64), "weight": np.float32(0.5), "shares": np.array([0.25, 0.75])}
    path = checkpoints.write(tmp_path / "run.npz", header, {})
    assert checkpoints.read(path)[0] == {"size": 64, "weight": 0.5, "shares": [0.25, 0.75]}


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match=r"is not a checkpoint, or is damaged\. Start without it") as caught:
        checkpoints.read(path)
    assert str(path) in str(caught.value)


def test_flipped_bits_are_noticed_or_harmless(path):
    data = path.read_bytes()
    noticed = 0
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :])
        try:
            header, arrays = checkpoints.read(path)
        except CheckpointError:
            noticed += 1
        else:  # a date, a file's permissions: what nobody reads; or the name of an array
            assert header == HEADER
            assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items() if name in arrays)
    assert noticed > len(data) / 2


def test_other_files(tmp_path):
    others = {
        "text.npz": b"not a checkpoint",
        "header.npz": None,
        "words.npz": None,
        "list.npz": None,
        "single.npz": None,
    }
    for name, data in others.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    np.savez(tmp_path / "header.npz", picture=np.zeros(3))  # without a header
    np.savez(tmp_path / "words.npz", header=np.frombuffer(b"{words", dtype="uint8"))
    np.savez(tmp_path / "list.npz", header=np.frombuffer(b"[1, 2]", dtype="uint8"))
    with open(tmp_path / "single.npz", "wb") as file:
        np.save(file, np.zeros(3))
    for name in others:
        with pytest.raises(CheckpointError, match=f"{name} is not a checkpoint, or is damaged"):
            checkpoints.read(tmp_path / name)


def test_another_version(tmp_path):
    text = json.dumps({"version": 99}).encode()
    np.savez(tmp_path / "run.npz", header=np.frombuffer(text, dtype="uint8"))
    with pytest.raises(CheckpointError, match=r"run\.npz is a checkpoint of version 99; this program reads version 2"):
        checkpoints.read(tmp_path / "run.npz")


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(CheckpointError, match="there is no checkpoint") as caught:
            checkpoints.read(path)
        assert str(path) in str(caught.value)


def test_a_full_disk_leaves_the_old_checkpoint(path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(CheckpointError, match=r"cannot write .*run\.npz: No space left on device"):
        checkpoints.write(path, {}, ARRAYS)
    monkeypatch.undo()
    assert checkpoints.read(path)[0] == HEADER
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot write .*the folder .*nowhere does not exist"):
        checkpoints.write(tmp_path / "nowhere" / "run.npz", HEADER, ARRAYS)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(path):
    path.parent.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="is read-only"):
            checkpoints.write(path, {}, ARRAYS)
    finally:
        path.parent.chmod(0o700)
    assert checkpoints.read(path)[0] == HEADER
