"""Textures: the style without a photograph (Gatys et al. 2015, "Texture synthesis"), as tiles that repeat without a seam."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_lib.errors import check_number
from nst_lib.painting import Painting

LEAST = 128  # pixels: of less, the deepest style layer sees hardly more than the picture's own repetition
GUIDE_WEIGHT = 0.05  # of the guide's content: enough for light and dark, little enough for the texture


def texture(
    styles: np.ndarray | Sequence[np.ndarray],
    size: int = 512,
    *,
    tileable: bool = True,
    guide: np.ndarray | None = None,
    **settings: Any,
) -> Painting:
    """A texture to be painted: run it with `paint`, then take its `picture`.

    Args:
        styles: the painting, or several, to take the texture from, (h, w, 3) in [0, 1].
        size: the side in pixels; a guide's long side.
        tileable: whether copies of the texture fit together without a seam.
        guide: a picture whose light and dark the texture follows.
        settings: as `Painting` takes them.

    Raises:
        SettingsError: if it would be smaller than what the network sees at once.
    """
    check_number("size", size, LEAST, whole=True)
    settings = {
        "init": "noise",
        "tv_weight": 0.1,
        "content_weight": GUIDE_WEIGHT if guide is not None else 0.0,
    } | settings
    ground = np.full((size, size, 3), 0.5, "float32") if guide is None else _grey(guide)
    return Painting(ground, styles, size=size, tileable=tileable, **settings)


def _grey(picture: np.ndarray) -> np.ndarray:
    from nst_lib.color import from_oklab, to_oklab

    return from_oklab(to_oklab(picture) * [1.0, 0.0, 0.0])


def repeated(tile: np.ndarray, times: int = 3) -> np.ndarray:
    """A tile (h, w, 3), laid `times` x `times`."""
    return np.tile(tile, (times, times, 1))


def seam(tile: np.ndarray) -> tuple[float, float]:
    """Where the steps across the seams stand among the steps between interior rows, and columns: percentiles, 0 to 100.

    A step is the mean absolute difference between two neighbouring rows (or columns). 100 is a visible seam, 0 a blurred one.
    """
    percentiles = []
    for picture in (tile, tile.transpose(1, 0, 2)):
        steps = np.abs(np.diff(picture, axis=0)).mean(axis=(1, 2))
        across = np.abs(picture[0] - picture[-1]).mean()
        percentiles.append(100 * float((steps < across).mean()))
    return percentiles[0], percentiles[1]
