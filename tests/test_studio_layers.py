"""`layer_explorer` without a browser."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("ipywidgets", reason="panels come with the extra course")
pytest.importorskip("anywidget", reason="panels come with the extra course")

from keras import ops

from nst_lib.backbones import load_backbone
from nst_lib.errors import WeightsError
from nst_lib.images import load_image, save_image
from nst_lib.studio import layer_explorer
from nst_lib.studio.controls import encode
from nst_lib.studio.layers import cut, overlay, plain_backbone, strongest
from nst_lib.weights import POCKET_FILE, read_weights

PATIENCE = 60


@pytest.fixture
def panel(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = layer_explorer(pair[0])
    panel.worker.wait(PATIENCE)
    yield panel
    panel.close()
    panel.worker.wait(PATIENCE)


def test_plain_channels_times_the_head_are_the_librarys(pair):
    layers = ["block1_conv1", "block3_conv3", "block5_conv1"]
    plain, mixed = plain_backbone("pocket")(pair[0], layers), load_backbone("pocket")(pair[0], layers)
    heads = read_weights(POCKET_FILE, "pocket")
    for layer in layers:
        ours = ops.convert_to_numpy(plain[layer])
        assert ours.min() == 0
        expected = ops.convert_to_numpy(mixed[layer])
        assert np.allclose(ours @ heads[layer]["head"], expected, atol=1e-3 * np.abs(expected).max())


def test_overlay_is_bright_where_the_channel_is():
    picture = np.full((50, 70, 3), 0.5, "float32")
    values = np.zeros((3, 4))
    values[1, 2] = 7
    seen = overlay(picture, values, 16, 1.0)
    brightness = seen.sum(-1)
    inside = brightness[16:32, 32:48].copy()
    brightness[16:32, 32:48] = 0
    assert seen.shape == picture.shape and inside.min() > 1.5 * brightness.max()
    assert np.array_equal(overlay(picture, values, 16, 0.0), picture)


def test_strongest_squares_are_the_peaks():
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(20, 30))
    values[4, 5], values[4, 6], values[15, 20] = 9, 8, 7
    found = strongest(values, stride=8, sees=40, count=2)
    assert found == [(9, int(4.5 * 8 - 20), int(5.5 * 8 - 20)), (7, int(15.5 * 8 - 20), int(20.5 * 8 - 20))]
    assert strongest(np.zeros((4, 4)), 8, 40) == []
    apart = [(top, left) for _, top, left in strongest(values, 8, 40)]
    for i, (top, left) in enumerate(apart):
        assert all(max(abs(top - y), abs(left - x)) > 20 for y, x in apart[:i])


def test_pieces_reach_over_the_edge():
    picture = np.random.default_rng(0).uniform(size=(40, 50, 3)).astype("float32")
    assert np.array_equal(cut(picture, 10, 20, 8), picture[10:18, 20:28])
    corner = cut(picture, -3, 45, 10)
    assert np.array_equal(corner[3:, :5], picture[:7, 45:])
    assert np.all(corner[:3] == 0.5) and np.all(corner[:, 5:] == 0.5)


def test_controls_choose_what_is_shown(panel):
    activations = plain_backbone("pocket")(panel.picture, ["block2_conv1"])["block2_conv1"]
    activations = ops.convert_to_numpy(activations)[0]
    panel.layer.value = "block2_conv1"
    panel.worker.wait(PATIENCE)
    assert panel.channel.most == 47
    assert panel.channel.value == panel.liveliest.value == activations.std(axis=(0, 1)).argmax()
    panel.channel.value = 7
    assert panel.liveliest.value == (7 if 7 in panel.liveliest.options else None)
    panel.worker.wait(PATIENCE)
    assert np.allclose(panel.values, activations[..., 7], atol=1e-4)
    flat = activations.reshape(-1, 48).astype("float64")
    assert np.allclose(panel.gram_row, flat[:, 7] @ flat / len(flat), rtol=1e-3, atol=1e-4)
    before = panel.view.value
    panel.opacity.value = 0.1
    panel.worker.wait(PATIENCE)
    assert panel.view.value != before
    panel.liveliest.value = panel.liveliest.options[3]
    assert panel.channel.value == panel.liveliest.options[3]
    panel.layer.value = "block1_conv1"
    panel.worker.wait(PATIENCE)
    assert panel.channel.most == 23 and panel.channel.value < 24
    panel.channel.value = 1000
    assert panel.channel.value == 23


def test_what_is_shown_is_described(panel):
    panel.layer.value, panel.channel.value = "block3_conv3", 54
    panel.worker.wait(PATIENCE)
    picture = ElementTree.fromstring(panel.view.value)
    assert picture.get("aria-label") == "block3_conv3, channel 54, over content"
    assert [text.text for text in picture.iter("text")] == [str(i + 1) for i in range(len(panel.patches))]
    boxes = [(int(box.get("y")), int(box.get("x"))) for box in picture.iter("rect")][::2]
    assert boxes == [(top, left) for _, top, left in panel.patches]
    assert len(re.findall("<figure>", panel.details.value)) == len(panel.patches) > 0
    best = int(np.argsort(np.where(np.arange(96) == 54, -1, panel.gram_row))[-1])
    assert f"most with {best} (" in panel.details.value
    assert f"With itself {panel.gram_row[54]:.3g}" in panel.details.value


def test_a_channel_that_sleeps(panel):
    asleep = next(channel for channel in range(128) if panel._activations["block5_conv1"][..., channel].max() == 0)
    panel.layer.value = "block5_conv1"
    panel.channel.value = asleep
    panel.worker.wait(PATIENCE)
    assert panel.patches == [] and "0 everywhere" in panel.details.value and "most with none" in panel.details.value


def drop(zone, name, data):
    """As the page does with a small file."""
    zone._receive(zone, {"upload": 1, "part": 0, "parts": 1, "name": name}, [data])


def test_dropped_files_and_saving(panel, pair):
    name = panel.zone.name
    drop(panel.zone, "broken.png", b"nothing")
    assert "broken.png is not a picture" in panel.message.value and panel.zone.name == name
    save_image(pair[1], "wave.png")
    with open("wave.png", "rb") as file:
        panel._dropped("wave.png", file.read())
    panel.worker.wait(PATIENCE)
    assert panel.zone.name == "wave" and panel.picture.shape[:2] == (288, 384)
    panel._save_button.click()
    file = f"wave_{panel.layer.value}_{panel.channel.value:g}.png"
    assert f"Saved {file}: 384 x 288" in panel.message.value
    panel.channel.value = 1 if panel.channel.value != 1 else 2
    assert "Saved" not in panel.message.value  # which would seem to be of what is shown now
    panel._save_button.click()
    panel.opacity.value = 0.2
    assert "Saved" not in panel.message.value
    assert load_image(file).shape == (288, 384, 3)


def test_a_picture_that_is_too_much_for_the_network_leaves_the_former_one(panel, pair, monkeypatch):
    def explode(*_):
        raise MemoryError("all of it is gone")

    monkeypatch.setattr(type(panel.backbone), "__call__", explode)
    picture, seen = panel.picture, panel.view.value
    drop(panel.zone, "wave.png", encode(pair[1], "PNG"))
    assert "MemoryError: all of it is gone" in panel.message.value and panel.picture is picture
    panel.worker.run(panel._show)
    panel.worker.wait(PATIENCE)
    assert panel.view.value == seen


def test_another_network(monkeypatch, tmp_path, pair):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="nst fetch vgg16"):
        layer_explorer(pair[0], "vgg16")
