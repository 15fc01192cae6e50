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
from nst_lib.weights import receptive_fields

Tensor = Any
MIRRORED = 64  # pixels: how far the deepest style layer sees, nearly


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
        look = self._look_inside if self.tileable else Backbone.__call__
        activations = [look(backbone, painting, self.style_layers) for painting in paintings]
        targets: dict[str, Any] = {"content": backbone(content, self.content_layers, self.tileable)}
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

    @staticmethod
    def _look_inside(backbone: Backbone, painting: np.ndarray, layers: Sequence[str]) -> dict[str, Tensor]:
        """Activations of a painting continued by its mirror image, without which the network would see its edges, as there
        are none in a tile."""
        height, width = painting.shape[:2]
        mirrored = np.pad(painting, ((MIRRORED, MIRRORED), (MIRRORED, MIRRORED), (0, 0)), mode="symmetric")
        inside = {}
        for name, activations in backbone(mirrored, layers).items():
            stride = receptive_fields(backbone.name)[name][0]
            first, rows, columns = MIRRORED // stride, height // stride, width // stride
            inside[name] = activations[:, first : first + rows, first : first + columns]
        return inside

    def weight_vector(
        self, content_weight: float, style_weight: float, tv_weight: float, style_layer_weights: Mapping[str, float]
    ) -> Tensor:
        """The weights in the order of the loss's parts: content, total variation, then each style layer."""
        style = [STYLE_GAIN * style_weight * style_layer_weights[n] / len(self.style_layers) for n in self.style_layers]
        return ops.convert_to_tensor([content_weight, tv_weight, *style], dtype="float32")

    def on(self, backbone: Backbone, smooth: bool) -> Callable[[Tensor, Tensor, dict], tuple[Tensor, Tensor, Tensor]]:
        """A function `(x, weights, targets) -> (loss, parts, gradient)` of pictures x (1, h, w, 3), to be compiled.

        Unless `smooth`, it leaves total variation out, which costs a twentieth of an evaluation on the pocket VGG.
        """
        _, style_distance = STYLE_LOSSES[self.style_loss]

        def evaluate(x: Tensor, weights: Tensor, targets: dict) -> tuple[Tensor, Tensor, Tensor]:
            def weighted(x: Tensor) -> tuple[Tensor, Tensor]:
                activations = backbone(x, [*self.content_layers, *self.style_layers], self.tileable)
                content = [relative_error(activations[n], targets["content"][n]) for n in self.content_layers]
                if "masks" in targets:
                    style = [
                        guided_gram_distance(activations[n], targets["style"][n], targets["masks"][n])
                        for n in self.style_layers
                    ]
                else:
                    style = [style_distance(activations[n], targets["style"][n]) for n in self.style_layers]
                variation = total_variation(x, self.tileable) if smooth else ops.zeros(())
                parts = ops.stack([sum(content) / len(content), variation, *style])
                return ops.sum(weights * parts), parts

            return autodiff.value_and_gradient(weighted, x)

        return evaluate
