"""`fast_studio` without a browser: what its knobs, its drop zone and its buttons do."""

import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("anywidget", reason="panels come with the extra course")

from nst_lib import load_image, load_style, save_image
from nst_lib.errors import PictureError, SettingsError, StyleError
from nst_lib.fast.styles import StyleFile, shipped_styles
from nst_lib.studio import fast_studio
from nst_lib.studio.blending import Blend, load_blend
from nst_lib.studio.controls import encode


@pytest.fixture
def panel(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(pair[0], "my cat.png")
    panel = fast_studio("my cat.png")
    panel.worker.wait(60)
    yield panel
    panel.close()


def test_paints_at_once_as_the_library_does(panel, pair):
    cat = load_image("my cat.png")
    np.testing.assert_allclose(panel.picture, load_style("great_wave")(cat), atol=1e-4)
    assert panel.view.before == encode(cat) and panel.view.after == encode(panel.picture)
    assert panel.view.alt == "my cat painted as 100% great_wave, strength 1"
    assert panel.drop.name == "my cat.png"


def test_knobs_blend_and_strength_fades(panel):
    cat = load_image("my cat.png")
    panel.blend.knobs["poppies"].value = 0.5
    panel.strength.value = 0.6
    panel.worker.wait(60)
    expected = load_style(["great_wave", "poppies"], [1, 0.5])(cat, 0.6)
    np.testing.assert_allclose(panel.picture, expected, atol=1e-4)


def test_only_leaves_one_style_and_shares_can_be_assigned(panel):
    changes = []
    panel.blend.observe(lambda change: changes.append(change.new), "shares")
    panel.blend.shares = {"poppies": 0.25, "summertime": 0.75}
    assert {name: knob.value for name, knob in panel.blend.knobs.items() if knob.value} == panel.blend.shares
    row = panel.blend.children[list(panel.blend.knobs).index("cafe_terrace")]
    row.children[-1].click()
    assert changes == [{"poppies": 0.25, "summertime": 0.75}, {"cafe_terrace": 1.0}]
    panel.worker.wait(60)
    assert panel.style.shares == {"cafe_terrace": 1.0}


def test_all_knobs_at_zero_are_refused_and_the_picture_stays(panel):
    before = panel.view.after
    panel.blend.knobs["great_wave"].value = 0
    assert "All styles are at 0" in panel.message.value and panel.view.after == before
    panel.strength.value = 0.7  # of what was painted before
    assert "All styles are at 0" in panel.message.value
    assert "--style great_wave --strength 0.7" in panel.command.text
    panel.blend.knobs["poppies"].value = 0.1
    panel.worker.wait(60)
    assert "at 0" not in panel.message.value and panel.view.after != before


@pytest.mark.parametrize("shares", [{"great_wave": 1.0}, {"great_wave": 0.35, "church_auvers": 0.8}])
def test_saved_picture_is_that_of_the_command_and_of_the_call(shares, panel, nst):
    panel.blend.shares = shares
    panel.strength.value = 0.85
    panel.save()
    panel.files.wait(60)
    saved = f"my_cat_{'_'.join(shares)}.png"
    assert f"Saved {saved}: 64 x 64" in panel.message.value
    panel.strength.value = 0.2
    assert "Saved" not in panel.message.value  # which would seem to be of what is shown now
    panel.strength.value = 0.85
    expected = load_image(saved)

    words = shlex.split(panel.command.text)
    by_command = saved.replace(".png", "-2.png")  # it does not replace what was saved
    assert words[:3] == ["nst", "fast", "my cat.png"] and words[-1] == by_command and nst(*words[1:]).code == 0
    assert panel.call.text.count(repr(by_command)) == 1
    exec(panel.call.text.replace(by_command, "by_call.png"), {})
    for name in (by_command, "by_call.png"):
        assert np.abs(load_image(name) - expected).max() <= 1.01 / 255, (
            name
        )  # a blend's shares are scaled in other orders


def test_a_dropped_picture_is_painted_and_a_broken_one_explained(panel, pair):
    panel.drop._on_file("painting.jpg", encode(pair[1]))
    panel.files.wait(60)
    panel.worker.wait(60)
    assert panel.picture.shape == pair[1].shape and panel.drop.name == "painting.jpg"
    assert "nst fast painting.jpg" in panel.command.text
    panel.drop._on_file("broken.jpg", b"no picture")
    with pytest.raises(PictureError, match="broken.jpg is not a picture of a known kind"):
        panel.files.wait(60)
    assert 'role="alert"' in panel.message.value and "broken.jpg is not a picture" in panel.message.value
    assert panel.drop.name == "painting.jpg"


def test_large_pictures_are_shown_small_and_saved_large(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = fast_studio(np.tile(pair[0], (9, 12, 1)), {"poppies": 1, "summertime": 1})
    panel.save()
    panel.files.wait(60)
    panel.worker.wait(60)
    assert panel.picture.shape == (384, 512, 3)
    assert load_image("content_poppies_summertime.png").shape == (576, 768, 3)
    panel.close()


def test_what_cannot_be_saved_is_said(panel, monkeypatch):
    monkeypatch.setattr("nst_lib.studio.fast.free_path", lambda name: f"no/folder/{name}")
    panel.save()
    with pytest.raises(PictureError, match="cannot write"):
        panel.files.wait(60)
    assert "cannot write" in panel.message.value


def test_a_dropped_picture_is_saved_for_the_command_and_replaces_no_other(panel, pair, nst):
    for number, picture in enumerate(pair):
        panel.drop._on_file("my cat.png", encode(picture, "PNG"))  # a file of this name is there
        panel.files.wait(60)
        panel.save()
        panel.files.wait(60)
        assert nst(*shlex.split(panel.command.text)[1:-1], f"{number}.png").code == 0
        np.testing.assert_allclose(load_image(f"{number}.png"), load_style("great_wave")(picture), atol=0.02)
    assert [load_image(f"my cat-{number}.png").shape for number in (2, 3)] == [picture.shape for picture in pair]


def test_newest_wins_and_nothing_is_painted_twice(panel):
    """While one picture is painted, twenty knobs are turned: only the last of them is painted."""
    painted, go = [], threading.Event()
    style = panel.style

    class Slow:
        shares = style.shares

        def __call__(self, picture, strength):
            go.wait(30)
            painted.append(strength)
            return picture

    panel.style = Slow()
    panel.strength.value = 0.99
    time.sleep(0.1)
    for i in range(20):
        panel.strength.value = 0.5 + i / 100
    go.set()
    panel.worker.wait(60)
    assert painted == [0.99, 0.69]


def test_a_style_of_ones_own(pair, tmp_path, monkeypatch, nst):
    monkeypatch.chdir(tmp_path)
    known = shipped_styles()
    StyleFile(known.weights, {"mine": known.styles["poppies"], "other": known.styles["summertime"]}, {}).save("my.npz")
    save_image(pair[0], "cat.png")
    panel = fast_studio("cat.png", {"mine": 1.0}, file="my.npz")
    assert list(panel.blend.knobs) == ["mine", "other"]
    panel.save()
    panel.files.wait(60)
    expected = load_image("cat_mine.png")
    assert nst(*shlex.split(panel.command.text)[1:]).code == 0  # over the saved one
    np.testing.assert_array_equal(load_image("cat_mine.png"), expected)
    panel.close()


def test_mistakes_are_explained(pair, tmp_path):
    with pytest.raises(SettingsError, match="unknown style 'great_wafe': did you mean great_wave"):
        fast_studio(pair[0], "great_wafe")
    with pytest.raises(SettingsError, match="give at least one above 0"):
        load_blend({"poppies": 0})
    with pytest.raises(StyleError, match="there is no style file"):
        load_blend(file=tmp_path / "none.npz")
    with pytest.raises(PictureError, match="does not exist"):
        fast_studio("nowhere.jpg")


def test_it_needs_no_engine():
    code = "import sys; from nst_lib.studio import fast_studio, webcam_studio; print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_photograph_dropped_while_a_picture_is_saved_is_taken_and_every_save_is_made(panel, pair, monkeypatch):
    style, began, go_on = panel.style, threading.Event(), threading.Event()

    def slow(picture, strength):
        began.set()
        go_on.wait(60)
        return style(picture, strength)

    slow.shares = style.shares
    panel.style = slow
    panel.save()
    assert began.wait(60)
    panel.style = style
    panel.drop._on_file("other.png", encode(pair[1], "PNG"))
    panel.save()
    go_on.set()
    panel.files.wait(60)
    assert panel.source.name == "other"
    assert len(list(Path().glob("my_cat_*.png"))) == 2


def test_ten_panels_leave_no_thread_and_no_widget(pair):
    import ipywidgets

    def panel():
        made = fast_studio(pair[0])
        made.worker.wait(60)
        made.close()

    panel()
    widgets, threads = len(ipywidgets.widget._instances), threading.active_count()
    for _ in range(10):
        panel()
    assert threading.active_count() == threads
    assert len(ipywidgets.widget._instances) == widgets


def test_every_style_has_its_picture_and_button():
    blend = Blend(load_blend())
    for name, row in zip(shipped_styles().styles, blend.children, strict=True):
        picture, knob, only = row.children
        assert picture.value.startswith('<img alt="" src="data:image/jpeg;base64,') and knob.label == name
        assert only.tooltip == f"{name}, and nothing else"
