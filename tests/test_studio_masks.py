"""`mask_painter` without a browser; what the mouse does is in tests/browser."""

import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anywidget", reason="panels come with the extra course")

from nst_lib.errors import PictureError
from nst_lib.masks import check_masks, load_mask
from nst_lib.studio import mask_painter


@pytest.fixture
def half(pair):
    mask = np.zeros(pair[0].shape[:2], "float32")
    mask[:, :20] = 1
    mask[:, 20] = 0.4
    return mask


def test_begins_empty_or_with_a_mask(pair, half):
    assert mask_painter(pair[0]).mask.shape == (64, 64) and mask_painter(pair[0]).mask.max() == 0
    painter = mask_painter(pair[0], half)
    np.testing.assert_allclose(painter.mask, half, atol=0.5 / 255)
    assert painter.mask.dtype == np.float32
    check_masks([painter.mask, 1 - painter.mask], 2, pair[0])  # as `Painting` does


def test_what_the_browser_paints_is_the_mask(pair):
    painter = mask_painter(pair[1])
    opacity = np.random.default_rng(0).integers(0, 256, pair[1].shape[:2], dtype="uint8")
    file = io.BytesIO()
    Image.fromarray(np.dstack([*3 * [np.full_like(opacity, 255)], opacity])).save(file, "PNG")
    painter.canvas.set_state({"data": memoryview(file.getvalue())})
    np.testing.assert_allclose(painter.mask, opacity / 255, atol=1e-6)


def test_masks_of_large_pictures_have_the_pictures_size(pair):
    large = np.tile(pair[0], (20, 25, 1))
    mask = np.zeros(large.shape[:2], "float32")
    mask[:640] = 1
    painter = mask_painter(large, mask)
    assert (painter.canvas.width, painter.canvas.height) == (1024, 819)
    assert painter.mask.shape == (1280, 1600) and np.abs(painter.mask - mask).mean() < 0.002


def test_saved_mask_is_what_nst_paint_reads(pair, half, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    painter = mask_painter(pair[0], half)
    painter.save()
    assert "Saved mask.png" in painter.message.value and painter.message.value.count("--mask mask.png none<") == 1
    np.testing.assert_allclose(load_mask("mask.png"), half, atol=0.51 / 255)
    (tmp_path / "mask-2.png").mkdir()
    monkeypatch.setattr("nst_lib.studio.masks.free_path", lambda _: tmp_path / "mask-2.png")
    painter.save()
    assert "it is a folder" in painter.message.value


@pytest.mark.parametrize(
    "mask", [np.zeros((10, 10)), np.full((64, 64), 2.0), np.zeros((64, 64), int), np.zeros((64, 64, 3))]
)
def test_what_is_no_mask_is_refused(mask, pair):
    with pytest.raises(PictureError, match=r"expected floats \(64, 64\) in \[0, 1\]"):
        mask_painter(pair[0], mask)
