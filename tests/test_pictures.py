"""A small picture of every feature beside a stored one, compared by distance: what is meant to change a picture does.

Run this file to store them again, and look at each.
"""

from pathlib import Path

import numpy as np
import pytest

from nst_lib.images import crop_to_fit, load_image, resize, save_image
from nst_lib.metrics import score
from nst_lib.painting import Painting, paint, stylize
from nst_lib.textures import texture

ROOT = Path(__file__).parent.parent
STORED = Path(__file__).parent / "data" / "pictures"
SIZE, STEPS = 96, 20
FEW = 12  # steps from noise: with more, rounding leads to another texture, as good but not the same


def photograph() -> np.ndarray:
    return crop_to_fit(load_image(ROOT / "data/content/kingfisher.jpg"), SIZE, SIZE)


def model(name: str) -> np.ndarray:
    return resize(load_image(ROOT / f"data/style/{name}.jpg"), SIZE)


def stripe(first: float, last: float) -> np.ndarray:
    """A mask, 1 between two shares of the width."""
    across = (np.arange(SIZE) + 0.5) / SIZE
    return np.tile((across >= first) & (across < last), (SIZE, 1)).astype("float32")


def paint_with(styles, **settings) -> np.ndarray:
    options = {"size": SIZE, "steps": STEPS, "precision": "float32", "progress": False} | settings
    return stylize(photograph(), styles, **options)


def grow(**settings) -> np.ndarray:
    work = texture(model("hokusai_poppies"), 128, steps=FEW, precision="float32", **settings)
    for _ in paint(work):
        pass
    return work.picture


def in_tiles() -> np.ndarray:
    wide = crop_to_fit(load_image(ROOT / "data/content/kingfisher.jpg"), 64, 224)
    work = Painting(wide, model("hokusai_poppies"), size=224, steps=12, pyramid=1, precision="float32")
    work.levels[-1].tile = 64  # without its rims: two tiles
    for _ in paint(work):
        pass
    return work.picture


PICTURES = {
    "plain": lambda: paint_with(model("hokusai_poppies")),
    "two_styles": lambda: paint_with([model("hokusai_poppies"), model("vangogh_cafe_terrace")], shares=[0.4, 0.6]),
    "style_scale": lambda: paint_with(model("hokusai_poppies"), style_scale=3),
    "color_content": lambda: paint_with(model("hokusai_poppies"), color="content"),
    "color_luminance": lambda: paint_with(model("hokusai_poppies"), color="luminance"),
    "color_match": lambda: paint_with(model("hokusai_poppies"), color="match"),
    "masks": lambda: paint_with(
        [model("hokusai_poppies"), model("vangogh_cafe_terrace")], masks=[stripe(0, 0.35), stripe(0.65, 1)]
    ),
    "texture": lambda: grow(tileable=False),
    "texture_tileable": grow,
    "texture_guided": lambda: grow(tileable=False, guide=resize(photograph(), 128)),
    "print_in_tiles": in_tiles,
}


@pytest.fixture(scope="module")
def painted():
    return {name: make() for name, make in PICTURES.items()}


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures in blocks of 4 x 4 pixels: rounding moves single ones."""
    blocks = [picture.reshape(len(picture) // 4, 4, -1, 4, 3).mean(axis=(1, 3)) for picture in (one, other)]
    return float(np.abs(blocks[0] - blocks[1]).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_the_stored_one(name, painted):
    stored = load_image(STORED / f"{name}.png")
    assert painted[name].shape == stored.shape
    assert distance(painted[name], stored) < 0.02
    ours, theirs = (score(picture, stored, model("hokusai_poppies")) for picture in (painted[name], stored))
    assert ours.style == pytest.approx(theirs.style, rel=0.15)


@pytest.mark.slow
def test_pictures_differ_by_more_than_the_tolerance(painted):
    alike = [name for name, picture in painted.items() if picture.shape == painted["plain"].shape and name != "plain"]
    assert len(alike) == 6
    for name in alike:
        assert distance(painted[name], painted["plain"]) > 0.03, name


def test_a_region_left_alone_is_the_photograph(painted):
    middle = slice(int(0.4 * SIZE), int(0.6 * SIZE))
    np.testing.assert_allclose(painted["masks"][:, middle], photograph()[:, middle], atol=1e-6)


if __name__ == "__main__":
    STORED.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        save_image(make(), STORED / f"{name}.png")
