"""`style_studio` without a browser: traits are set, buttons clicked, threads joined."""

import gc
import inspect
import math
import shlex
import threading
import time
import weakref
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("ipywidgets", reason="panels come with the extra course")
pytest.importorskip("anywidget", reason="panels come with the extra course")

import ipywidgets as widgets

import nst_lib
from nst_lib import Painting
from nst_lib.backbones import STYLE_LAYERS
from nst_lib.errors import PictureError, SettingsError, WeightsError
from nst_lib.images import load_image, save_image
from nst_lib.studio import style as module
from nst_lib.studio import style_studio
from nst_lib.studio.controls import encode
from nst_lib.studio.curves import draw_curves
from nst_lib.studio.recipes import DEFAULTS
from nst_lib.weights import layer_shapes

PATIENCE = 60  # seconds: two cores can be busy


@pytest.fixture
def files(pair, tmp_path, monkeypatch):
    """A photograph and a painting of 64 pixels in the working directory."""
    monkeypatch.chdir(tmp_path)
    save_image(pair[0], "my photo.png")
    save_image(pair[1], "wave.png")
    return "my photo.png", "wave.png"


@pytest.fixture
def studio(files):
    """Make panels of these pictures; afterwards they are closed, and must leave no thread."""
    panels = []

    def make(content=files[0], style=files[1], size=64, steps=12):
        panels.append(style_studio(content, style, size=size, steps=steps))
        panels[-1].worker.wait(PATIENCE)  # warm
        return panels[-1]

    yield make
    for panel in panels:
        panel.close()
        panel.worker.wait(PATIENCE)
    wait_until(lambda: not workers())


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "nst-worker"]


def run(panel):
    panel.buttons["run"].click()
    panel.worker.wait(PATIENCE)
    assert panel.state == "finished"
    return panel.picture


def wait_until(true):
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.005)


def text(panel):
    return panel.message.value


def drop(zone, name, data):
    """As the page does with a small file."""
    zone._receive(zone, {"upload": 1, "part": 0, "parts": 1, "name": name}, [data])


def stand(panel):
    return {name: knob.value for name, knob in panel.knobs.items()}


@pytest.mark.parametrize(
    "turned",
    [
        {},
        {"style_weight": 3, "block1_conv1": 0, "block4_conv1": 2.5, "tv_weight": 0.05},
        {"style_scale": 1.5, "color": "luminance", "init": "noise", "content_weight": 0.3},
    ],
    ids=["as it is", "weights", "the rest"],
)
def test_command_and_call_paint_what_a_fresh_start_paints(studio, nst, turned):
    panel = studio()
    for name, value in turned.items():
        panel.knobs[name].value = value
    picture = run(panel)
    assert panel.history[-1][0] == 12
    assert nst(*shlex.split(panel.command.text)[1:]).code == 0
    by_command = load_image("my_photo_wave.png")
    exec(panel.call.text, {"nst_lib": nst_lib})
    panel.buttons["save"].click()
    assert "Saved my_photo_wave-2.png: 64 x 64 pixels" in text(panel)
    for other in (by_command, load_image("my_photo_wave.png"), load_image("my_photo_wave-2.png")):
        assert np.abs(other - picture).max() <= 0.5 / 255 + 1e-6


def test_the_commands_do_not_replace_what_was_saved(studio):
    panel = studio()
    run(panel)
    assert panel.command.text.endswith("-o my_photo_wave.png")
    panel.buttons["save"].click()
    assert panel.command.text.endswith("-o my_photo_wave-2.png") and "'my_photo_wave-2.png'" in panel.call.text


def test_files_with_long_names(studio, pair):
    for name, picture in zip(("photo" * 30, "живопись" * 12), pair, strict=True):
        save_image(picture, f"{name}.png")
    panel = studio(f"{'photo' * 30}.png", f"{'живопись' * 12}.png")
    run(panel)
    panel.buttons["save"].click()
    (saved,) = Path().glob("photo*_*.png")
    assert f"Saved {saved}" in text(panel) and len(str(saved).encode()) <= 244


def test_two_files_of_one_name_are_saved_beside_each_other(studio, pair):
    panel = studio()
    pictures = dict(zip(("content", "style"), pair, strict=True))
    for kind, picture in pictures.items():
        drop(getattr(panel, f"{kind}_zone"), "image.png", encode(picture, "PNG"))
    panel.worker.wait(PATIENCE)
    run(panel)
    panel.buttons["save"].click()
    sources = {"content": panel.content, "style": panel.style}
    assert [source.file for source in sources.values()] == ["image.png", "image-2.png"]
    for kind, source in sources.items():
        assert np.abs(load_image(source.file) - pictures[kind]).max() < 0.01
    assert "image.png image-2.png" in panel.command.text


def test_arrays_are_written_when_the_picture_is_saved_so_that_the_command_finds_them(studio, nst, pair):
    panel = studio(*pair)
    run(panel)
    panel.buttons["save"].click()
    saved = load_image("content_style.png")
    command = shlex.split(panel.command.text)
    assert command[2:4] == ["content.png", "style.png"]
    assert nst(*command[1:]).code == 0
    assert np.array_equal(load_image("content_style.png"), saved)


def test_weights_steer_the_painting_that_runs(studio, pair):
    panel = studio(steps=20)
    run(panel)
    painting, before, steps = panel._painting, panel.picture, panel.history[-1][0]
    panel.knobs["style_weight"].value = 30  # it had finished, and wakes
    assert panel.state == "running"
    panel.worker.wait(PATIENCE)
    assert panel._painting is painting
    assert panel.history[-1][0] >= steps + 20
    judge = nst_lib.load_backbone("pocket")
    photograph, wave = load_image("my photo.png"), load_image("wave.png")
    old, new = (nst_lib.score(picture, photograph, wave, judge) for picture in (before, panel.picture))
    assert new.style < 0.8 * old.style
    assert new.content > old.content


def test_weights_turned_during_a_run_are_heeded_and_prolong_it(studio):
    panel = studio(steps=40)
    panel.buttons["run"].click()
    wait_until(lambda: panel.history)
    painting = panel._painting
    panel.knobs["block3_conv1"].value = 0.5
    panel.worker.wait(PATIENCE)
    assert panel._painting is painting
    assert painting.style_layer_weights["block3_conv1"] == 0.5
    assert panel.history[-1][0] > 40


def test_a_knob_that_is_dragged_does_not_keep_the_picture_from_changing(studio):
    panel = studio(steps=30)
    run(panel)
    pictures = set()
    for turn in range(40):
        panel.knobs["style_weight"].value = 10 + turn / 10
        pictures.add(panel.view.after)
        time.sleep(0.05)
    assert len(pictures) > 3


@pytest.mark.parametrize("knob, value", [("style_scale", 2), ("color", "content"), ("size", 128)])
def test_what_needs_new_targets_goes_on_from_the_picture(studio, monkeypatch, knob, value):
    panel = studio()
    before = run(panel)
    begun = []
    painting = module.Painting
    monkeypatch.setattr(module, "Painting", lambda *a, **k: begun.append(k) or painting(*a, **k))
    panel.knobs[knob].value = value
    panel.worker.wait(PATIENCE)
    assert len(begun) == 1 and begun[0]["init"] is before and begun[0]["pyramid"] == 1
    assert max(panel.picture.shape) == (128 if knob == "size" else 64)
    assert panel.history[-1][0] == 24


def test_pause_and_go_on(studio):
    panel = studio(steps=30)
    clean = run(panel)
    panel.buttons["run"].click()
    wait_until(lambda: panel.history)
    panel.buttons["pause"].click()
    assert panel.state == "paused" and panel.buttons["pause"].description == "Go on"
    panel.worker.wait(PATIENCE)
    done = panel._done
    assert done < 30
    time.sleep(0.1)
    assert panel._done == done
    panel.buttons["pause"].click()
    panel.worker.wait(PATIENCE)
    assert panel.state == "finished" and panel._done == 30
    assert np.array_equal(panel.picture, clean)


def test_cancel_keeps_the_picture_and_a_run_begins_anew(studio):
    panel = studio(steps=60)
    panel.buttons["run"].click()
    wait_until(lambda: panel.history)
    panel.buttons["cancel"].click()
    panel.worker.wait(PATIENCE)
    shown = panel.view.after
    assert panel.state == "idle" and shown and "Stopped" in text(panel)
    panel.knobs["style_weight"].value = 5  # nothing runs, so nothing is steered
    assert not panel.worker.busy and panel.view.after == shown
    run(panel)
    assert panel.history[-1][0] == 60


def test_the_first_steps_are_announced_and_then_no_more(studio):
    panel = studio(steps=300)
    panel.buttons["run"].click()
    wait_until(lambda: len(panel.history) > 1)
    assert "first steps" not in text(panel) and "Painting ..." in text(panel)


def test_where_to_start_from_counts_from_the_next_run(studio):
    panel = studio()
    picture = run(panel)
    panel.knobs["init"].value = "noise"
    assert panel.state == "finished" and "Run paints from there" in text(panel) and panel.picture is picture


def test_a_knob_turned_after_cancel_says_what_to_do(studio):
    panel = studio(steps=300)
    panel.buttons["run"].click()
    wait_until(lambda: panel.picture is not None)
    panel.buttons["cancel"].click()
    panel.worker.wait(PATIENCE)
    panel.knobs["style_weight"].value = 2
    assert panel.state == "idle" and "Run paints like that, from the start" in text(panel)


def test_a_newer_run_replaces_the_older(studio):
    panel = studio(steps=15)
    clean = run(panel)
    for _ in range(5):
        panel.buttons["run"].click()
        time.sleep(0.03)
    panel.worker.wait(PATIENCE)
    assert panel.history[-1][0] == panel._done == 15
    assert np.array_equal(panel.picture, clean)


def test_undo_goes_back_change_by_change(studio, monkeypatch):
    monkeypatch.setattr("nst_lib.studio.history.TURN", 0)
    panel = studio()
    at_first = stand(panel)
    assert panel.buttons["undo"].disabled
    first = run(panel)
    panel.knobs["style_weight"].value = 20
    panel.worker.wait(PATIENCE)
    second = panel.picture
    panel.knobs["size"].value = 128
    panel.worker.wait(PATIENCE)

    panel.buttons["undo"].click()
    assert panel.knobs["size"].value == 64 and panel.knobs["style_weight"].value == 20
    assert panel.picture is second and panel.state == "paused"
    panel.buttons["undo"].click()
    assert stand(panel) == at_first and panel.picture is first
    assert panel.history[-1][0] == 12 and "The loss at step 12 " in panel.curves.value
    panel.buttons["pause"].click()  # go on from there
    panel.worker.wait(PATIENCE)
    assert panel.state == "finished" and not np.array_equal(panel.picture, first)
    panel.buttons["undo"].click()
    assert panel.picture is None and panel.view.after == b"" and panel.state == "idle"
    assert panel.buttons["undo"].disabled and panel.curves.value == ""


def test_undo_while_it_runs_is_not_overwritten(studio):
    panel = studio(steps=200)
    first = run(panel)
    panel.buttons["run"].click()
    wait_until(lambda: panel.history)
    panel.buttons["undo"].click()
    shown = panel.view.after
    panel.worker.wait(PATIENCE)
    assert panel.picture is first and panel.view.after == shown


def test_a_change_after_undo_is_one_of_its_own_however_soon(studio):
    panel = studio()
    for weight in (5, 7):
        panel.knobs["style_weight"].value = weight
        panel.buttons["undo"].click()
        assert panel.knobs["style_weight"].value == 1
    panel.knobs["style_weight"].value = 5
    run(panel)
    panel.knobs["style_weight"].value = 7
    panel.buttons["undo"].click()
    assert panel.knobs["style_weight"].value == 5 and panel.picture is not None


def test_a_drag_is_one_change(studio):
    panel = studio()
    for turn in range(10):
        panel.knobs["style_weight"].value = 1 + turn
    panel.buttons["undo"].click()
    assert panel.knobs["style_weight"].value == 1
    assert panel.buttons["undo"].disabled


def test_dropped_files(studio, pair):
    panel = studio()
    run(panel)
    shown, name = panel.view.after, panel.content_zone.name
    drop(panel.content_zone, "broken.jpg", b"not a picture")
    assert "broken.jpg is not a picture of a known kind" in text(panel) and 'role="alert"' in text(panel)
    assert panel.view.after == shown and panel.content_zone.name == name

    with open("wave.png", "rb") as file:
        drop(panel.style_zone, "other.png", file.read())  # the picture goes on towards another painting
    panel.worker.wait(PATIENCE)
    assert panel.style_zone.name == "other" and panel.history[-1][0] == 24
    panel.knobs["style_weight"].value = 0.5
    save_image(pair[1], "portrait.jpg")
    with open("portrait.jpg", "rb") as file:
        drop(panel.content_zone, "portrait.jpg", file.read())
    panel.worker.wait(PATIENCE)
    assert panel.picture is None and panel.state == "idle" and "Took portrait.jpg" in text(panel)
    assert panel.buttons["save"].disabled and panel.buttons["finish"].disabled and panel.curves.value == ""
    assert run(panel).shape == pair[1].shape
    panel.buttons["undo"].click()
    panel.buttons["undo"].click()
    assert panel.content_zone.name == name


def test_a_file_that_has_gone_is_named_and_nothing_changes(studio, files, pair):
    panel = studio()
    panel.knobs["style_weight"].value = 5
    drop(panel.content_zone, "moose.png", encode(pair[1], "PNG"))
    Path(files[0]).unlink()
    panel.buttons["undo"].click()
    assert "my photo.png does not exist" in text(panel) and 'role="alert"' in text(panel)
    assert panel.content.name == "moose" and not panel.buttons["undo"].disabled
    save_image(pair[0], files[0])
    panel.buttons["undo"].click()
    assert panel.content.name == "my photo" and panel.knobs["style_weight"].value == 5 and "Undone" in text(panel)
    run(panel)
    Path(files[0]).unlink()
    drop(panel.style_zone, "other.png", encode(pair[1], "PNG"))
    assert "my photo.png does not exist" in text(panel) and panel.style.name == "wave"
    save_image(pair[0], files[0])
    panel.buttons["undo"].click()  # the run, and not what was refused
    assert panel.picture is None


def test_a_painting_dropped_during_a_run_gets_all_its_steps(studio, files):
    panel = studio(steps=60)
    panel.buttons["run"].click()
    wait_until(lambda: panel._done > 5)
    with open(files[1], "rb") as file:
        drop(panel.style_zone, "other.png", file.read())
    since = panel._done
    panel.worker.wait(PATIENCE)
    assert panel.state == "finished" and panel._done >= since + 59


def test_finish_with_vgg19(studio, monkeypatch, tmp_path):
    panel = studio(steps=4)
    before = run(panel)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    panel.buttons["finish"].click()
    with pytest.raises(WeightsError, match="nst fetch vgg19"):
        panel.worker.wait(PATIENCE)
    assert "nst fetch vgg19" in text(panel) and panel.state == "paused" and panel.picture is before
    assert "--backbone pocket" in panel.command.text

    chance = np.random.default_rng(0)
    weights = {
        layer: {
            "kernel": chance.normal(0, math.sqrt(2 / (9 * size[0])), (3, 3, *size)).astype("float32"),
            "bias": np.zeros(size[1], "float32"),
        }
        for layer, size in layer_shapes("vgg19").items()
    }
    monkeypatch.setattr("nst_lib.backbones.find_weights", lambda _: tmp_path / "vgg19.npz")
    monkeypatch.setattr("nst_lib.backbones.read_weights", lambda *_: weights)
    panel.buttons["finish"].click()
    panel.worker.wait(PATIENCE)
    assert panel.state == "finished" and panel.history[-1][1].backbone == "vgg19"
    assert "--backbone vgg19" in panel.command.text
    assert 0 < np.abs(panel.picture - before).mean() < 0.2
    panel.buttons["undo"].click()  # and with it goes VGG19
    assert panel.picture is before and "--backbone pocket" in panel.command.text


def test_what_goes_wrong_is_shown_and_raised_to_tests(studio, monkeypatch):
    panel = studio()

    def explode(_):
        raise MemoryError("all of it is gone")

    with monkeypatch.context() as patched:
        patched.setattr(module.Painting, "step", explode)
        panel.buttons["run"].click()
        with pytest.raises(MemoryError):
            panel.worker.wait(PATIENCE)
    assert "That did not work:</b> MemoryError: all of it is gone" in text(panel)
    assert panel.state == "idle"
    assert run(panel) is not None


def test_saving_before_there_is_a_picture(studio, monkeypatch):
    panel, go_on = studio(), threading.Event()
    monkeypatch.setattr(module.Painting, "step", lambda _: go_on.wait(PATIENCE))
    panel.buttons["run"].click()
    panel.buttons["save"].click()
    assert "no picture to save yet" in text(panel)
    panel.buttons["cancel"].click()
    go_on.set()
    panel.worker.wait(PATIENCE)


def test_saving_where_nothing_can_be_written(studio, monkeypatch):
    panel = studio()
    run(panel)
    monkeypatch.setattr("nst_lib.studio.panels.output_folder", lambda: Path("gone"))
    panel.buttons["save"].click()
    assert "cannot write gone" in text(panel) and 'role="alert"' in text(panel)


def test_two_panels_do_not_disturb_each_other(studio, files):
    first, second = studio(), studio(*reversed(files))
    alone = [run(panel) for panel in (first, second)]
    for panel in (first, second):
        panel.buttons["run"].click()
    for panel, picture in zip((first, second), alone, strict=True):
        panel.worker.wait(PATIENCE)
        assert np.array_equal(panel.picture, picture)


def test_a_cell_run_ten_times_leaves_one_panel(files, monkeypatch):
    runs = iter(range(100))

    class Shell:
        def get_parent(self):
            return {"metadata": {"cellId": "here"}, "header": {"msg_id": str(next(runs))}}

    monkeypatch.setattr("IPython.get_ipython", Shell)
    panels = []
    for _ in range(11):
        panel = style_studio(*files, size=64, steps=500)
        panel.run()
        wait_until(lambda panel=panel: panel.history)
        panels.append(weakref.ref(panel))
        if len(panels) == 1:
            counted = len(widgets.widget._instances)
    panel.close()
    wait_until(lambda: not workers())
    del panel
    gc.collect()
    assert sum(panel() is not None for panel in panels) <= 1, "only the last of a cell's panels is remembered"
    assert len(widgets.widget._instances) < counted


def test_parts_of_the_curves_add_up_to_the_loss(studio):
    panel = studio()
    panel.knobs["block2_conv1"].value, panel.knobs["content_weight"].value = 2.5, 0.4
    run(panel)
    for _, state in panel.history:
        assert sum(state.contributions.values()) == pytest.approx(state.loss, rel=1e-4)
    html = ElementTree.fromstring(panel.curves.value)
    assert len(html.findall(".//polyline")) == 3 + len(STYLE_LAYERS)
    assert [row.find("th").text for row in html.iter("tr")] == ["loss", "content", *STYLE_LAYERS, "smoothness"]


def test_curves_are_where_their_values_are():
    html = ElementTree.fromstring(draw_curves([0, 5, 10], {"loss": [10, 1, 0.1], "content": [1, 0, 1]}, "a < b"))
    loss, content = (line.get("points").split() for line in html.findall(".//polyline"))
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in loss)
    assert x1 - x0 == pytest.approx(x2 - x1) and y1 - y0 == pytest.approx(y2 - y1) and y0 < y2
    assert content == [f"{x0},{y1}", f"{x2},{y1}"]  # 0 has no place on a logarithmic axis
    assert html.find("svg").get("aria-label").endswith("now: loss 0.1, content 1")
    assert len({line.get("stroke-dasharray") for line in html.findall(".//polyline")}) == 2
    assert draw_curves([], {}) == ""
    many = ElementTree.fromstring(draw_curves(range(10_000), {"loss": [1.0] * 10_000}))
    assert len(many.find(".//polyline").get("points").split()) < 200


def test_recipes_leave_out_what_painting_takes_by_default(pair):
    painting = Painting(*pair)
    for name, value in DEFAULTS.items():
        if name not in ("init", "style_layer_weights"):
            assert painting.settings.get(name, painting.loss_weights.get(name)) == value, name
    assert inspect.signature(Painting).parameters["init"].default == DEFAULTS["init"]
    assert set(painting.style_layer_weights.values()) == {1.0}


def test_names_of_pictures():
    content = module.find_source("kingfisher", "content")
    assert content.name == "kingfisher" and content.load(64).shape == (36, 64, 3)
    with pytest.raises(SettingsError, match="unknown picture 'kingfishre': did you mean kingfisher"):
        module.find_source("kingfishre", "content")
    with pytest.raises(PictureError, match=r"nowhere\.jpg does not exist"):
        style_studio("nowhere.jpg", "nowhere.jpg")
