"""Masks: which part of the picture is painted in which painting's manner (guided Gram matrices: Gatys et al. 2017).

A mask is a float32 array (height, width): 1 inside its region, 0 outside, between the two at a soft edge.
"""

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import MAX_PIXELS, load_image, same_shape

OVERLAP = 0.02  # what neighbouring masks may exceed 1 by, where their soft edges meet


def load_mask(source: Any, *, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """A mask (height, width) from whatever `load_image` takes: its opacity where some of it is transparent, or else its
    lightness.

    Raises:
        PictureError: if it is no picture, or has more than `max_pixels`.
    """
    picture = load_image(source, max_pixels=max_pixels)
    opacity = _opacity(source)
    return picture.mean(axis=-1) if opacity is None or opacity.min() == 1 else opacity


def _opacity(source: Any) -> np.ndarray | None:
    """The alpha channel (height, width) of what `load_image` has taken; None if it has none."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source)
    if isinstance(source, (str, os.PathLike, io.BytesIO)):
        with Image.open(source) as image:
            return _opacity(image)
    if isinstance(source, Image.Image):
        if not source.has_transparency_data:
            return None
        alpha = ImageOps.exif_transpose(source).convert("RGBA").getchannel("A")
        return np.asarray(alpha, "float32") / 255
    array = np.asarray(source)
    return load_image(array[..., 3]).mean(axis=-1) if array.ndim == 3 and array.shape[2] == 4 else None


def fit_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask at another size, each value the mean of what it covers."""
    image = Image.fromarray(np.ascontiguousarray(mask, "float32"))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX)).clip(0, 1)


def check_masks(masks: Sequence[np.ndarray], paintings: int, content: np.ndarray) -> np.ndarray:
    """Masks, one for each painting, at the photograph's size: (n, height, width).

    Raises:
        PictureError: if one is no mask, or of another shape than the photograph.
        SettingsError: if there are more or fewer than paintings, one is empty, or two of them overlap.
    """
    if len(masks) != paintings:
        raise SettingsError(f"{len(masks)} masks for {paintings} paintings: give one for each.")
    height, width = content.shape[:2]
    fitted = []
    for number, mask in enumerate(masks, 1):
        mask = np.asarray(mask)
        if mask.ndim != 2 or mask.dtype.kind not in "bf" or not (mask.min() >= 0 and mask.max() <= 1):
            raise PictureError(
                f"mask {number} is {mask.dtype} of shape {mask.shape}: expected (height, width) in [0, 1]."
            )
        if not same_shape(mask.shape, content.shape):
            raise PictureError(
                f"mask {number} is {mask.shape[1]} x {mask.shape[0]} and the photograph {width} x {height}: they must have "
                "the same shape. Draw the mask over the photograph itself."
            )
        fitted.append(fit_mask(mask, height, width))
        if fitted[-1].max() < 0.5:
            raise SettingsError(
                f"mask {number} is empty: nothing in it is white (or opaque). Draw its region in white."
            )
    regions = np.stack(fitted)
    overlap = (regions.sum(axis=0) > 1 + OVERLAP).mean()
    if overlap > 0.001:
        raise SettingsError(
            f"the masks overlap on {overlap:.1%} of the picture: each place can have one painting only."
        )
    return regions


def regions(content: np.ndarray, masks: Sequence[np.ndarray], styles: Sequence[str]) -> list[np.ndarray]:
    """The masks for `Painting`: first the rest, what no mask covers; then those whose style is not "none".

    Raises:
        PictureError, SettingsError: as `check_masks`, and if there is no rest.
    """
    fitted = check_masks(masks, len(styles), content)
    rest = (1 - fitted.sum(axis=0)).clip(0, 1)
    if rest.max() < 0.5:
        raise SettingsError(
            "the masks cover the whole picture: nothing is left for the first painting. Leave out a mask."
        )
    return [rest, *(mask for mask, style in zip(fitted, styles, strict=True) if style != "none")]
