"""Textures: the style without a photograph (Gatys et al. 2015, "Texture synthesis"), as tiles that repeat without a seam."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_lib.color import from_oklab, to_oklab
from nst_lib.errors import check_number
from nst_lib.images import resize
from nst_lib.painting import Painting

LEAST = 128  # pixels: in less, the deepest style layer sees hardly more than the picture's own repetition
# A guide counts by what an early layer sees of it, which is light and dark: little enough for the texture to grow over it.
GUIDE_LAYER, GUIDE_WEIGHT = "block2_conv1", 0.3
STEPS = 70  # evaluations of the loss; with 60, grain stays
NOISE = 0.1  # standard deviation of what a texture grows from: more would still show in the end


def texture(
    styles: np.ndarray | Sequence[np.ndarray],
    size: int = 512,
    *,
    tileable: bool = True,
    guide: np.ndarray | None = None,
    seed: int = 0,
    **settings: Any,
) -> Painting:
    """A texture to be painted: run it with `paint`, then take its `picture`.

    Args:
        styles: the painting, or several, to take the texture from, (h, w, 3) in [0, 1].
        size: the side in pixels, or the guide's long side.
        tileable: whether copies of the texture fit together without a seam.
        guide: a picture whose light and dark the texture follows, where it can.
        seed: of the noise from which it grows.
        settings: as `Painting` takes them. The budget is STEPS evaluations, and each size of the pyramid a quarter of the
            next, from 512 pixels on: at the smallest, the network sees what is large in the painting, bricks and waves.

    Raises:
        SettingsError: if it would be smaller than what the network sees at once, or for bad settings.
        PictureError: if a painting or the guide is no picture.
    """
    check_number("the size of a texture", size, LEAST, whole=True)
    ground = np.full((size, size, 3), 0.5, "float32")
    options: dict[str, Any] = {"tv_weight": 0.1, "content_weight": 0.0}
    if guide is not None:
        ground = resize(from_oklab(to_oklab(guide) * [1, 0, 0]), size)
        options |= {"content_weight": GUIDE_WEIGHT, "content_layers": (GUIDE_LAYER,)}
    check_number("seed", seed, whole=True, least=0)
    noise = np.random.default_rng(seed).normal(0, NOISE, ground.shape)
    options |= {"init": (ground + noise).clip(0, 1).astype("float32"), "pyramid": _sizes(*ground.shape[:2])}
    options |= settings
    if options.get("steps") is None and options.get("seconds") is None:
        options["steps"] = STEPS
    return Painting(ground, styles, size=size, tileable=tileable, seed=seed, **options)


def _sizes(height: int, width: int) -> list[int]:
    """The long sides of the sizes before the last, each a quarter of the next, and no short side below LEAST."""
    long, short = max(height, width), min(height, width)
    return [*_sizes(height // 4, width // 4), long // 4] if short >= 4 * LEAST else []


def repeated(tile: np.ndarray, times: int = 3) -> np.ndarray:
    """A tile (h, w, 3), laid `times` x `times`."""
    return np.tile(tile, (times, times, 1))


def recut(tile: np.ndarray) -> np.ndarray:
    """The same tile (h, w, 3), rolled so that the step across its seam is the median of all steps, both ways: a tile has no
    edges of its own, and its file should begin where nothing stands out. See `seam`."""
    for axis in (0, 1):
        steps = np.abs(tile - np.roll(tile, 1, axis)).mean(axis=(1 - axis, 2))
        tile = np.roll(tile, -int(np.argsort(steps)[len(steps) // 2]), axis)
    return tile


def seam(tile: np.ndarray) -> tuple[float, float]:
    """Where the step across the seam stands among the steps between interior rows, and columns: percentiles, 0 to 100.

    A step is the mean absolute difference of two neighbouring rows (or columns). Near 100 one sees an edge, near 0 a blur.
    """
    percentiles = []
    for picture in (tile, tile.transpose(1, 0, 2)):
        steps = np.abs(np.diff(picture, axis=0)).mean(axis=(1, 2))
        across = np.abs(picture[0] - picture[-1]).mean()
        percentiles.append(100 * float((steps < across).mean()))
    return percentiles[0], percentiles[1]
