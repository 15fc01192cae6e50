"""What a picture is optimised for: its targets, measured once, and the weighted loss with its gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import Backbone
from nst_lib.losses import (
    STYLE_GAIN,
    STYLE_LOSSES,
    gram_matrix,
    guided_gram_distance,
    relative_error,
    total_variation,
)
from nst_lib.masks import fit_mask

Tensor = Any
WRAP = 32  # pixels beyond the edges of a tileable picture: what a network's deep layers need to see there


@dataclass(frozen=True)
class Objective:
    """loss = content_weight x content + 30 x style_weight x mean(style) + tv_weight x total variation.

    Gatys et al. 2015, eq. 7, with relative distances; content is the mean over `content_layers`, style that over
    `style_layers` of the `style_loss` ("gram" or "wasserstein"). If `tileable`, the network sees the picture continued
    beyond its edges by itself, so that the edges are nothing special, and no seam shows where copies of it meet.
    """

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    style_loss: str
    tileable: bool = False

    @property
    def is_sum(self) -> bool:
        """Whether it depends on sums over positions alone, which can be added up tile by tile."""
        return self.style_loss == "gram" and not self.tileable

    def targets(
        self,
        backbone: Backbone,
        content: np.ndarray,
        paintings: Sequence[np.ndarray],
        shares: Sequence[float],
        masks: Sequence[np.ndarray] | None = None,
    ) -> dict[str, Any]:
        """What to aim at, by layer: the photograph's activations, and the paintings' statistics, mixed in `shares`; or, with
        masks (n, h, w), each painting's own, and where each layer is to have them."""
        activations = [backbone(painting, self.style_layers) for painting in paintings]
        seen = wrapped(ops.convert_to_tensor(content[None])) if self.tileable else content
        targets: dict[str, Any] = {"content": backbone(seen, self.content_layers)}
        if masks is None:
            make_target, _ = STYLE_LOSSES[self.style_loss]
            targets["style"] = {name: make_target([a[name] for a in activations], shares) for name in self.style_layers}
            return targets
        sizes = {name: a.shape[1:3] for name, a in backbone(content, self.style_layers).items()}
        targets["style"] = {
            name: ops.concatenate([gram_matrix(a[name]) for a in activations]) for name in self.style_layers
        }
        targets["masks"] = {
            name: ops.convert_to_tensor(np.stack([fit_mask(mask, *sizes[name]) for mask in masks]), dtype="float32")
            for name in self.style_layers
        }
        return targets

    def weight_vector(
        self, content_weight: float, style_weight: float, tv_weight: float, style_layer_weights: Mapping[str, float]
    ) -> Tensor:
        """The weights in the order of the loss's parts: content, total variation, then each style layer."""
        style = [STYLE_GAIN * style_weight * style_layer_weights[n] / len(self.style_layers) for n in self.style_layers]
        return ops.convert_to_tensor([content_weight, tv_weight, *style], dtype="float32")

    def on(self, backbone: Backbone, smooth: bool) -> Callable[[Tensor, Tensor, dict], tuple[Tensor, Tensor, Tensor]]:
        """A function `(x, weights, targets) -> (loss, parts, gradient)` of pictures x (1, h, w, 3), to be compiled.

        Unless `smooth`, it leaves total variation out, which costs a tenth of an evaluation on the pocket VGG.
        """
        _, style_distance = STYLE_LOSSES[self.style_loss]

        def evaluate(x: Tensor, weights: Tensor, targets: dict) -> tuple[Tensor, Tensor, Tensor]:
            def weighted(x: Tensor) -> tuple[Tensor, Tensor]:
                x = wrapped(x) if self.tileable else x
                activations = backbone(x, [*self.content_layers, *self.style_layers])
                content = [relative_error(activations[n], targets["content"][n]) for n in self.content_layers]
                if "masks" in targets:
                    style = [
                        guided_gram_distance(activations[n], targets["style"][n], targets["masks"][n])
                        for n in self.style_layers
                    ]
                else:
                    style = [style_distance(activations[n], targets["style"][n]) for n in self.style_layers]
                variation = total_variation(x) if smooth else ops.zeros(())
                parts = ops.stack([sum(content) / len(content), variation, *style])
                return ops.sum(weights * parts), parts

            return autodiff.value_and_gradient(weighted, x)

        return evaluate


def wrapped(x: Tensor, margin: int = WRAP) -> Tensor:
    """Pictures (n, h, w, c), continued by `margin` pixels of themselves on every side, as on a torus."""
    x = ops.concatenate([x[:, -margin:], x, x[:, :margin]], axis=1)
    return ops.concatenate([x[:, :, -margin:], x, x[:, :, :margin]], axis=2)
