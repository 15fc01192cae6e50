"""What is painted: the photograph, the paintings, and where each of these goes, at any size."""

import math
import os
from collections.abc import Sequence

import numpy as np

from nst_lib.color import keep_colors, recolor
from nst_lib.errors import CheckpointError, SettingsError, check_number
from nst_lib.images import MIN_SIDE, check_picture, resize
from nst_lib.masks import check_masks, fit_mask


class Subject:
    """A photograph and its paintings, checked, and resized once.

    Attributes:
        content: the photograph at the size of the finished picture.
        styles: the paintings at that size times `style_scale`.
        shares: of the paintings; they sum to 1.
        masks: (n, h, w), where each painting goes, or None.

    Raises:
        PictureError, SettingsError: as `Painting`.
    """

    def __init__(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        size: int,
        shares: Sequence[float] | None = None,
        masks: Sequence[np.ndarray] | np.ndarray | None = None,
        style_scale: float = 1.0,
        color: str = "style",
    ):
        self.style_scale, self.color = style_scale, color
        self.shares = check_shares(shares, len(styles))
        self.content = _own(resize(check_picture(content, "the photograph"), size), content)
        self.styles = [
            _own(resize_painting(check_picture(style, "the painting"), size * style_scale), style) for style in styles
        ]
        self.masks = None if masks is None else check_masks(list(masks), len(styles), self.content)
        self._models = [recolor(style, self.content, color) for style in self.styles]

    def at(self, height: int, width: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray] | None]:
        """Photograph, paintings and masks for a picture of that size."""
        side = max(height, width) * self.style_scale
        masks = None if self.masks is None else [fit_mask(mask, height, width) for mask in self.masks]
        return resize(self.content, (height, width)), [resize_painting(model, side) for model in self._models], masks

    def finish(self, picture: np.ndarray) -> np.ndarray:
        """What was painted, (h, w, 3) of any size, with the photograph's colours or parts where they are to be kept."""
        if self.color == "luminance":
            picture = keep_colors(picture, self.content)
        if self.masks is not None:
            painted = fit_mask(np.minimum(self.masks.sum(axis=0), 1), *picture.shape[:2])[..., None]
            picture = painted * picture + (1 - painted) * resize(self.content, picture.shape[:2])
        return picture

    def check_same(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        masks: Sequence[np.ndarray] | None,
        path: str | os.PathLike,
    ) -> None:
        """Raise CheckpointError, naming the checkpoint's `path`, unless these are the very pictures, and masks."""
        size = max(self.content.shape[:2])
        given = [resize(content, size), *(resize_painting(style, size * self.style_scale) for style in styles)]
        mine = [self.content, *self.styles]
        if len(given) != len(mine) or not all(np.array_equal(a, b) for a, b in zip(given, mine, strict=True)):
            raise CheckpointError(
                f"{path} is a checkpoint of another photograph or painting. Give the pictures that it was made of, or "
                "start without it."
            )
        neither = masks is None and self.masks is None
        if not neither and not (masks is not None and self.masks is not None and np.array_equal(masks, self.masks)):
            raise CheckpointError(f"{path} was made with other masks, or none. Give the same, or start without it.")


def _own(picture: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The picture, or a copy where it is the caller's array, which may change."""
    return picture.copy() if np.may_share_memory(picture, np.asarray(given)) else picture


def resize_painting(style: np.ndarray, size: float) -> np.ndarray:
    """A painting with a long side of `size`, or of as much as a long, thin one needs for its short side."""
    short, long = sorted(style.shape[:2])
    return resize(style, max(round(size), math.ceil(MIN_SIDE * long / short)))


def check_shares(shares: Sequence[float] | None, paintings: int) -> list[float]:
    """Shares that sum to 1; by default equal ones."""
    if paintings == 0:
        raise SettingsError("no painting given: at least one is needed for the style.")
    if shares is None:
        return [1 / paintings] * paintings
    if len(shares) != paintings:
        raise SettingsError(f"{len(shares)} shares for {paintings} paintings: give one for each.")
    for share in shares:
        check_number("a share", share, least=0)
    if sum(shares) == 0:
        raise SettingsError("the shares sum to 0: at least one painting must have some.")
    return [share / sum(shares) for share in shares]
