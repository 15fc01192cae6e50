"""How far a picture is from its photograph and its painting, as every bar, bench and table of this project counts it."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from nst_lib.autodiff import run_as_one
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, Backbone, load_backbone
from nst_lib.color import matrix_power, to_oklab
from nst_lib.errors import PictureError
from nst_lib.images import check_picture, resize, same_shape
from nst_lib.losses import STYLE_GAIN, gram_distance, gram_target, relative_error
from nst_lib.subject import resize_painting


@dataclass(frozen=True)
class Score:
    """Distances of a picture. Smaller is nearer; a good picture is a trade between the two.

    Attributes:
        content: relative squared error of the activations at block4_conv2; 0 for the photograph itself.
        style: mean over blockN_conv1 of the Gram matrices' relative squared errors; 0 for the painting itself.
        similarity: structural similarity with the photograph's lightness (Wang et al. 2004); 1 for the photograph itself.
        color: how far the colours are from the painting's, in units of Oklab's lightness, 0 to about 0.5: the Wasserstein-2
            distance between the two palettes, taken as Gaussians.
    """

    content: float
    style: float
    similarity: float
    color: float

    @property
    def total(self) -> float:
        """content + 30 x style: the loss at weights 1 and 1."""
        return self.content + STYLE_GAIN * self.style


def score(
    pastiche: np.ndarray,
    content: np.ndarray,
    style: np.ndarray,
    backbone: Backbone | str | None = None,
    weights: str | os.PathLike | None = None,
) -> Score:
    """Score a stylised picture, at its own size, against its photograph and its painting.

    Args:
        pastiche: the picture to judge, (h, w, 3) in [0, 1].
        content: the photograph, of the same shape up to rounding; it is resized to the pastiche's.
        style: the painting; it is resized to the pastiche's long side, also for a picture painted with another style scale.
        backbone: the judge: a Backbone or a name. By default as `load_backbone`.
        weights: the judge's weights file, if it is given by name.

    Raises:
        PictureError: for arrays that are not pictures, or a photograph of another shape.
    """
    pastiche, content = check_picture(pastiche, "the pastiche"), check_picture(content, "the photograph")
    (h, w), (h_content, w_content) = pastiche.shape[:2], content.shape[:2]
    if not same_shape(pastiche.shape, content.shape):
        raise PictureError(
            f"the pastiche is {w} x {h} and the photograph {w_content} x {h_content}: they are not the same picture. Give "
            "the photograph that was painted."
        )
    judge: Any = backbone if isinstance(backbone, Backbone) else load_backbone(backbone, weights)
    content, style = resize(content, (h, w)), resize_painting(check_picture(style, "the painting"), max(h, w))
    target = judge(content, [CONTENT_LAYER])[CONTENT_LAYER]
    painting = judge(style, STYLE_LAYERS)
    seen = judge(pastiche, [CONTENT_LAYER, *STYLE_LAYERS])
    style_distances = [gram_distance(seen[layer], gram_target([painting[layer]], [1.0])) for layer in STYLE_LAYERS]
    return Score(
        content=float(ops.convert_to_numpy(relative_error(seen[CONTENT_LAYER], target))),
        style=float(np.mean([ops.convert_to_numpy(distance) for distance in style_distances])),
        similarity=structural_similarity(pastiche, content),
        color=palette_distance(pastiche, style),
    )


def structural_similarity(picture: np.ndarray, other: np.ndarray) -> float:
    """Mean structural similarity of two pictures' lightness, in windows of 7 x 7: Wang et al. 2004, eq. 13.

    Args:
        picture, other: (h, w, 3) in [0, 1], of one shape.
    """
    a, b = (ops.convert_to_tensor(to_oklab(p)[None, ..., :1], dtype="float32") for p in (picture, other))
    return float(ops.convert_to_numpy(_similarity(a, b)))


@run_as_one
def _similarity(a: Any, b: Any) -> Any:
    def local_mean(x: Any) -> Any:
        return ops.average_pool(x, 7, strides=1, padding="valid")

    mean_a, mean_b = local_mean(a), local_mean(b)
    variance_a, variance_b = local_mean(a * a) - mean_a**2, local_mean(b * b) - mean_b**2
    covariance = local_mean(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
    similar = similar / ((mean_a**2 + mean_b**2 + 0.01**2) * (variance_a + variance_b + 0.03**2))
    return ops.mean(similar)


def palette_distance(picture: np.ndarray, other: np.ndarray) -> float:
    """Wasserstein-2 distance between two pictures' colours in Oklab, each taken as a Gaussian (Olkin and Pukelsheim 1982)."""
    pixels = [to_oklab(p).reshape(-1, 3) for p in (picture, other)]
    (mean_a, cov_a), (mean_b, cov_b) = ((p.mean(0), np.cov(p.T)) for p in pixels)
    root = matrix_power(cov_a, 0.5)
    cross = matrix_power(root @ cov_b @ root, 0.5)
    squared = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a + cov_b - 2 * cross)
    return float(np.sqrt(max(squared, 0.0)))
