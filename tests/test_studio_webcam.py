"""`webcam_studio` without a browser: frames are handed to the kernel as webcam.js would."""

import io
import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anywidget", reason="panels come with the extra course")

from nst_lib import load_image, load_style
from nst_lib.errors import PictureError, VideoError
from nst_lib.fast.video import Steadier
from nst_lib.studio import webcam as module
from nst_lib.studio import webcam_studio
from nst_lib.studio.controls import encode
from nst_lib.studio.webcam import save_clip


class Browser:
    """Sends frames as webcam.js does, and notes what comes back."""

    def __init__(self, panel, view="a"):
        self.panel, self.view, self.number = panel, view, 0
        self.answers = []

    def send(self, kind, picture=None):
        content, buffers = {"kind": kind, "view": self.view}, []
        if picture is not None:
            self.number += 1
            content["id"], buffers = self.number, [memoryview(encode(picture))]
        self.panel.camera._handle_custom_msg(content, buffers)

    def paint(self, picture):
        """Send a frame, wait for its painting, and return it."""
        self.send("frame", picture)
        self.panel.worker.wait(60)
        content, buffers = next(answer for answer in reversed(self.answers) if answer[0]["kind"] != "recording")
        assert (content["kind"], content["id"]) == ("painted", self.number) and content["milliseconds"] > 0
        return load_image(buffers[0])


@pytest.fixture
def panel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = webcam_studio()
    yield panel
    panel.close()


@pytest.fixture
def browser(panel, monkeypatch):
    """A view of the panel; another one is `browser.another`."""
    first, second = Browser(panel), Browser(panel, "b")
    first.another = second

    def answer(content, buffers=()):
        next(view for view in (first, second) if view.view == content["view"]).answers.append((content, buffers))

    monkeypatch.setattr(panel.camera, "send", answer)
    return first


def jpeg(picture):
    """A picture as it is after the way to the kernel, or back."""
    return load_image(encode(picture))


def same(painted, expected):
    """Whether a painting that came back is the expected one, but for rounding; both as JPEGs."""
    return np.square(painted - load_image(encode(expected, quality=module.QUALITY))).mean() < 1e-4


def test_a_frame_comes_back_painted(browser, pair):
    expected = load_style("great_wave")(jpeg(pair[0]))
    assert same(browser.paint(pair[0]), expected)


def test_style_and_strength_change_while_it_runs(panel, browser, pair):
    browser.paint(pair[0])
    panel.blend.shares = {"poppies": 0.5, "summertime": 0.5}
    panel.strength.value = 0.7
    expected = load_style(["poppies", "summertime"])(jpeg(pair[0]), 0.7)
    assert same(browser.paint(pair[0]), expected)
    panel.blend.shares = {}
    assert "All styles are at 0" in panel.message.value
    assert same(browser.paint(pair[0]), expected)  # what was there before goes on


def test_steadied_frames_are_those_of_the_steadier(panel, browser, pair):
    panel.steady.value = 0.8
    steadier, style = Steadier(load_style("great_wave", frames=True), 0.8), panel.style
    frames = [np.roll(pair[0], shift, axis=1) for shift in range(3)]
    for frame in frames:
        assert same(browser.paint(frame), steadier(jpeg(frame)))
    other = browser.another.paint(pair[1])  # another view does not come into it
    assert same(other, style(jpeg(pair[1])))
    assert same(browser.paint(frames[0]), steadier(jpeg(frames[0])))
    panel.steady.value = 0
    assert same(browser.paint(frames[0]), style(jpeg(frames[0])))


def test_only_the_newest_frame_of_a_view_is_painted_and_every_view_is_served(panel, browser, pair, monkeypatch):
    painting, go = threading.Event(), threading.Event()
    paint = panel._painted

    def slowly(view, frame):
        painting.set()
        go.wait(30)
        return paint(view, frame)

    monkeypatch.setattr(panel, "_painted", slowly)
    browser.send("frame", pair[0])
    painting.wait(30)
    for _ in range(3):
        browser.send("frame", pair[0])
    browser.another.send("frame", pair[1])
    go.set()
    panel.worker.wait(60)
    assert [content["id"] for content, _ in browser.answers] == [1, 4]
    assert [content["id"] for content, _ in browser.another.answers] == [1]


def test_a_damaged_frame_ends_its_view_and_no_other(panel, browser, pair):
    panel.camera._handle_custom_msg({"kind": "frame", "view": "a", "id": 1}, [memoryview(b"no picture")])
    with pytest.raises(PictureError, match="is not a picture"):
        panel.worker.wait(60)
    assert browser.answers[-1][0] == {"kind": "failed", "view": "a"}
    assert 'role="alert"' in panel.message.value
    assert browser.another.paint(pair[0]).shape == pair[0].shape
    assert browser.paint(pair[0]).shape == pair[0].shape  # and it can be started again


def test_snapshot_is_the_last_painting_without_loss(panel, browser, pair):
    browser.send("snapshot")
    assert panel.message.value == '<span role="status"></span>'  # nothing painted yet
    browser.paint(pair[0])
    for name in ("webcam.png", "webcam-2.png"):
        browser.send("snapshot")
        assert f"Saved {name}" in panel.message.value
        np.testing.assert_allclose(
            load_image(name), load_style("great_wave", frames=True)(jpeg(pair[0])), atol=0.51 / 255
        )


def test_a_snapshot_that_cannot_be_saved_is_said(panel, browser, pair, monkeypatch):
    browser.paint(pair[0])
    monkeypatch.setattr(module, "free_path", lambda name: module.Path("no/folder") / name.name)
    browser.send("snapshot")
    assert "cannot write" in panel.message.value


def test_a_clip_has_the_frames_at_their_times(panel, browser, pair, monkeypatch):
    av = pytest.importorskip("av", reason="films are written by PyAV, of the extra course")
    monkeypatch.setattr(module, "CLIP", 0.3)
    browser.send("clip")
    while "Saved" not in panel.message.value:
        browser.paint(pair[0])
        panel.saver.wait(60)
    assert "Saved webcam.mp4" in panel.message.value
    with av.open("webcam.mp4") as film:
        times = [float(frame.time) for frame in film.decode(video=0)]
    assert times[0] == 0 and 0.29 < times[-1] < 5 and (np.diff(times) > 0).all()
    assert f"{len(times)} frames" in panel.message.value
    told = [content["seconds"] for content, _ in browser.answers if content["kind"] == "recording"]
    assert told == [0.3, 0]  # for the button, and for the reader to know


def test_a_clip_that_is_broken_off_is_kept(panel, browser, pair):
    pytest.importorskip("av", reason="films are written by PyAV, of the extra course")
    browser.send("clip")
    browser.paint(pair[0])
    browser.paint(pair[0])
    browser.send("stop")
    panel.saver.wait(60)
    assert "Saved webcam.mp4: 2 frames" in panel.message.value
    browser.send("clip")  # and one without a frame is none
    browser.send("stop")
    panel.saver.wait(60)
    assert not module.Path("webcam-2.mp4").exists()


def test_a_clip_is_kept_when_the_panel_is_closed(panel, browser, pair):
    pytest.importorskip("av", reason="films are written by PyAV, of the extra course")
    browser.send("clip")
    browser.paint(pair[0])
    panel.close()
    assert module.Path("webcam.mp4").is_file()


def test_save_clip_keeps_pictures_and_times(tmp_path):
    av = pytest.importorskip("av", reason="films are written by PyAV, of the extra course")
    frames = []
    for i, seconds in enumerate((0.0, 0.05, 0.3, 1.234)):
        file = io.BytesIO()
        Image.new("RGB", (64, 48), (60 * i, 100, 200 - 60 * i)).save(file, "JPEG", quality=95)
        frames.append((seconds, file.getvalue()))
    save_clip(frames, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as film:
        found = [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]
    assert [round(time, 3) for time, _ in found] == [Fraction(0), Fraction(1, 20), Fraction(3, 10), Fraction(617, 500)]
    for i, (_, pixels) in enumerate(found):
        assert np.abs(pixels.mean((0, 1)) - [60 * i, 100, 200 - 60 * i]).max() < 6
    with pytest.raises(VideoError, match="cannot write"):
        save_clip(frames, tmp_path / "no" / "clip.mp4")
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(VideoError, match="cannot write"):
        save_clip(frames, tmp_path / "taken.mp4")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.mp4", "taken.mp4"]


def test_ten_panels_leave_no_thread_and_no_widget(pair):
    import ipywidgets

    def panel():
        made = webcam_studio("poppies")
        view = Browser(made)
        made.camera.send = lambda *_: None
        view.send("frame", pair[0])
        made.worker.wait(60)
        made.close()

    panel()
    widgets, threads = len(ipywidgets.widget._instances), threading.active_count()
    for _ in range(10):
        panel()
    assert threading.active_count() == threads
    assert len(ipywidgets.widget._instances) == widgets
