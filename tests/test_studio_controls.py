"""What panels share, without a browser: controls, sources, places to write to."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ipywidgets", reason="panels come with the extra course")
pytest.importorskip("anywidget", reason="panels come with the extra course")

from nst_lib.errors import PictureError
from nst_lib.files import free_path
from nst_lib.images import load_image, save_image
from nst_lib.studio import controls
from nst_lib.studio.controls import DropZone, Knob, encode, load_file
from nst_lib.studio.panels import output_folder
from nst_lib.studio.sources import dropped, find_source


def test_knobs_stay_in_their_range():
    knob = Knob("weight", 1, 0.01, 100, log=True)
    knob.value = 1e9
    assert knob.value == 100
    knob.value = -1
    assert knob.value == 0.01
    plain = Knob("share", 1, 0, 3)
    assert plain.step == pytest.approx(0.03)
    plain.value = 2.9
    plain.most = 2  # the range of another layer
    assert plain.value == 2


def send(zone, upload, part, parts, name, data):
    """As the page sends a part of a file."""
    zone._receive(zone, {"upload": upload, "part": part, "parts": parts, "name": name}, [memoryview(data)])


@pytest.fixture
def zone():
    """A drop zone with what has `arrived`, and what `failed`, in words."""
    arrived, failed = [], []
    zone = DropZone("photograph", lambda name, data: arrived.append((name, data)), lambda p: failed.append(str(p)))
    zone.arrived, zone.failed = arrived, failed
    return zone


def test_a_file_arrives_in_parts_and_a_newer_one_replaces_it(zone):
    send(zone, 1, 0, 2, "a.png", b"aa")
    send(zone, 1, 1, 2, "a.png", b"AA")
    assert zone.arrived == [("a.png", b"aaAA")] and zone.uploads == 1
    send(zone, 2, 0, 3, "b.png", b"bb")
    send(zone, 3, 0, 2, "c.png", b"cc")
    send(zone, 2, 1, 3, "b.png", b"BB")
    send(zone, 3, 1, 2, "c.png", b"CC")
    send(zone, 2, 2, 3, "b.png", b"BB")
    assert zone.arrived[1:] == [("c.png", b"ccCC")] and zone.uploads == 2 and not zone._parts and not zone.failed


def test_a_refused_file_ends_the_upload(zone, pair):
    zone._on_file = load_file
    send(zone, 1, 0, 1, "notes.txt", b"Dear diary")
    assert "notes.txt is not a picture of a known kind" in zone.failed[0]
    assert zone.uploads == 1 and not zone._parts
    zone.show("photo", pair[0])
    assert zone.name == "photo" and load_image(zone.thumbnail).shape == (64, 64, 3)


def test_files_too_large(zone, monkeypatch):
    monkeypatch.setattr(controls, "LARGEST", 10)
    with pytest.raises(PictureError, match=r"huge\.png has 0 MB: give a picture of less than"):
        load_file("huge.png", b"x" * 11)
    for part in range(3):  # refused by the first, and the others are not kept
        send(zone, 1, part, 4, "huge.png", b"1234")
        assert not zone._parts and zone.uploads == 1
    assert zone.failed == ["huge.png has 0 MB: give a picture of less than 0 MB."] and not zone.arrived
    for part in range(3):  # two and a half parts are not too much
        send(zone, 2, part, 3, "large.png", b"1234"[: 4 - 2 * (part == 2)])
    assert zone.arrived == [("large.png", b"1234123412")] and len(zone.failed) == 1


def test_encoded_pictures_are_close(pair):
    for picture in pair:
        assert np.abs(load_image(encode(picture)) - picture).mean() < 0.02
    assert np.abs(load_image(encode(pair[0], "PNG")) - pair[0]).max() < 0.003


def test_where_panels_write(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/SOURCES.md").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    (tmp_path / "out").touch()  # a file: there can be no such folder
    assert output_folder() == Path()
    (tmp_path / "out").unlink()
    assert output_folder() == Path("../out") and (tmp_path / "out").is_dir()
    assert free_path("IMG-1234.png") == Path("IMG-1234.png")
    Path("IMG-1234.png").touch()
    assert free_path("IMG-1234.png") == Path("IMG-1234-2.png")
    for number, expected in enumerate(("a.png", "a-2.png", "a-3.png")):
        path = free_path("a.png" if number != 1 else Path("a.png"))
        assert path == Path(expected)
        path.touch()


def test_sources_that_are_no_files_are_written_as_they_are(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = find_source(pair[0], "content")
    assert (source.file, source.on_disk) == ("content.png", False)
    source.write()
    assert np.array_equal(load_image("content.png"), source.load())
    other, again = find_source(pair[1], "content"), find_source(pair[0], "content")
    for another in (other, again):
        another.write()
    assert (other.file, other.on_disk, again.file) == ("content-2.png", True, "content.png")
    assert np.array_equal(load_image("content.png"), source.load())

    save_image(pair[1], "original.jpg")
    data = Path("original.jpg").read_bytes()
    source = dropped("../photo of me.jpg", data)
    assert (source.name, source.file) == ("photo of me", "photo of me.jpg")  # nowhere else
    source.write()
    assert Path("photo of me.jpg").read_bytes() == data
    assert find_source("photo of me.jpg", "content").on_disk
