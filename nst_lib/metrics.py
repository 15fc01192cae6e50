"""How far a picture is from its photograph and its painting, as every bar, bench and table of this project counts it."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, Backbone, load_backbone
from nst_lib.errors import PictureError
from nst_lib.images import check_picture, resize
from nst_lib.losses import STYLE_GAIN, gram_distance, gram_target, relative_error


@dataclass(frozen=True)
class Score:
    """Distances of a picture. Smaller is nearer; a good picture is a trade between the two.

    Attributes:
        content: relative squared error of the activations at block4_conv2; 0 for the photograph itself.
        style: mean over blockN_conv1 of the Gram matrices' relative squared errors; 0 for the painting itself.
    """

    content: float
    style: float

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
        style: the painting; it is resized to the pastiche's long side.
        backbone: the judge: a Backbone or a name. By default as `load_backbone`.
        weights: the judge's weights file, if it is given by name.

    Raises:
        PictureError: for arrays that are not pictures, or a photograph of another shape.
    """
    pastiche, content = check_picture(pastiche, "the pastiche"), check_picture(content, "the photograph")
    (h, w), (h_content, w_content) = pastiche.shape[:2], content.shape[:2]
    if abs(h * w_content - w * h_content) > 1.5 * max(h_content, w_content):
        raise PictureError(
            f"the pastiche is {w} x {h} and the photograph {w_content} x {h_content}: they are not the same picture. Give "
            "the photograph that was painted."
        )
    judge: Any = backbone if isinstance(backbone, Backbone) else load_backbone(backbone, weights)
    target = judge(resize(content, (h, w)), [CONTENT_LAYER])[CONTENT_LAYER]
    painting = judge(resize(check_picture(style, "the painting"), max(h, w)), STYLE_LAYERS)
    seen = judge(pastiche, [CONTENT_LAYER, *STYLE_LAYERS])
    style_distances = [gram_distance(seen[layer], gram_target([painting[layer]], [1.0])) for layer in STYLE_LAYERS]
    return Score(
        content=float(ops.convert_to_numpy(relative_error(seen[CONTENT_LAYER], target))),
        style=float(np.mean([ops.convert_to_numpy(distance) for distance in style_distances])),
    )
