"""Masks: which part of the picture is painted in which painting's manner (guided Gram matrices: Gatys et al. 2017).

A mask is a float32 array (height, width): 1 inside its region, 0 outside, between the two at a soft edge.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import MAX_PIXELS, load_with_opacity, same_shape

OVERLAP = 0.02  # what neighbouring masks may exceed 1 by, where their soft edges meet


def load_mask(source: Any, *, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """A mask (height, width) from whatever `load_image` takes: its opacity where some of it is transparent, or else its
    lightness.

    Raises:
        PictureError: if it is no picture, or has more than `max_pixels`.
    """
    picture, opacity = load_with_opacity(source, max_pixels=max_pixels)
    return picture.mean(axis=-1) if opacity is None or opacity.min() == 1 else opacity


def fit_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask at another size, each value the mean of what it covers."""
    image = Image.fromarray(np.ascontiguousarray(mask, "float32"))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)).clip(0, 1)


def check_masks(
    masks: Sequence[np.ndarray], paintings: int, content: np.ndarray, names: Sequence[str] | None = None
) -> np.ndarray:
    """Masks, one for each painting, at the photograph's size: (n, height, width). Errors call them by their `names`, or by
    their numbers.

    Raises:
        PictureError: if one is no mask, or of another shape than the photograph.
        SettingsError: if there are more or fewer than paintings, one is empty, or two of them overlap.
    """
    if len(masks) != paintings:
        raise SettingsError(f"{len(masks)} masks for {paintings} paintings: give one for each.")
    height, width = content.shape[:2]
    fitted = []
    for name, mask in zip(names or [f"mask {number + 1}" for number in range(len(masks))], masks, strict=True):
        mask = np.asarray(mask)
        good = mask.ndim == 2 and mask.dtype.kind in "bf" and mask.size and mask.min() >= 0 and mask.max() <= 1
        if not good:  # also for NaN
            raise PictureError(f"{name} is {mask.dtype} of shape {mask.shape}: expected (height, width) in [0, 1].")
        if not same_shape(mask.shape, content.shape):
            raise PictureError(
                f"{name} is {mask.shape[1]} x {mask.shape[0]} and the photograph {width} x {height}: they must have "
                "the same shape. Draw the mask over the photograph itself."
            )
        fitted.append(fit_mask(mask, height, width))
        if fitted[-1].max() < 0.5:
            raise SettingsError(f"{name} is empty: nothing in it is white (or opaque). Draw its region in white.")
    regions = np.stack(fitted)
    overlap = (regions.sum(axis=0) > 1 + OVERLAP).mean()
    if overlap > 0.001:
        raise SettingsError(
            f"the masks overlap on {overlap:.1%} of the picture: each place can have one painting only."
        )
    return regions


def regions(
    content: np.ndarray, masks: Sequence[np.ndarray], styles: Sequence[str], names: Sequence[str] | None = None
) -> list[np.ndarray]:
    """The masks for `Painting`: first the rest, what no mask covers; then those whose style is not "none".

    Raises:
        PictureError, SettingsError: as `check_masks`, and if there is no rest.
    """
    fitted = check_masks(masks, len(styles), content, names)
    rest = (1 - fitted.sum(axis=0)).clip(0, 1)
    if rest.max() < 0.5:
        raise SettingsError(
            "the masks cover the whole picture: nothing is left for the first painting. Leave out a mask."
        )
    return [rest, *(mask for mask, style in zip(fitted, styles, strict=True) if style != "none")]
