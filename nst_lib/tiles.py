"""Large pictures in little memory: the loss of the whole picture and its gradient, computed tile by tile.

A Gram matrix is a sum over positions, and so is the content's squared error. So a first pass over the tiles adds up the whole
picture's Gram matrices; from these follows what the loss gains by each of their entries; and a second pass carries that
back to the pixels of each tile. Tiles overlap by as much as the network sees, so that nothing is cut off: the gradient is
that of the whole picture at once, at the price of a second look. There is no seam to hide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import Backbone
from nst_lib.losses import gram_matrix, total_variation
from nst_lib.masks import fit_mask
from nst_lib.objective import Objective
from nst_lib.weights import receptive_fields

Tensor = Any
STRIDE = 16  # pixels between the deepest layers' positions: tiles begin at multiples of it, or pooling would shift


@dataclass(frozen=True)
class Tile:
    """A piece of a picture: where it begins, and the part of it, its core, that counts; all in pixels.

    The cores of a picture's tiles cover it once. What is around a core is only there to be seen by the network.
    """

    top: int
    left: int
    rows: tuple[int, int]
    columns: tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """What the loss needs to know of a tile, by layer.

    Attributes:
        tile: where it is.
        content: the photograph's activations, (1, h, w, channels).
        core: what an error at each position adds to the content distance, (h, w); 0 outside the core.
        weights: what each position adds to the Gram matrix of each region, (regions, h, w).
    """

    tile: Tile
    content: dict[str, Tensor]
    core: dict[str, Tensor]
    weights: dict[str, Tensor]


def split(height: int, width: int, side: int, margin: int) -> tuple[tuple[int, int], list[Tile]]:
    """The shape of the tiles of a picture, about `side` x `side`, and where they are."""
    (tile_height, rows), (tile_width, columns) = (_split_side(length, side, margin) for length in (height, width))
    tiles = [Tile(top, left, row, column) for top, row in rows for left, column in columns]
    return (tile_height, tile_width), tiles


def _split_side(length: int, side: int, margin: int) -> tuple[int, list[tuple[int, tuple[int, int]]]]:
    """The length of the tiles along one side, at most about `side` and no longer than needed; where each begins, and its
    core."""
    count = -(-(length - 2 * margin) // (side - 2 * margin))
    if count <= 1:
        return length, [(0, (0, length))]
    tile = length % STRIDE  # so that the last one, too, begins at a multiple
    while (count - 1) * ((tile - 2 * margin) // STRIDE * STRIDE) < length - tile:
        tile += STRIDE
    starts = [round((length - tile) / STRIDE * i / (count - 1)) * STRIDE for i in range(count)]
    edges = [0, *(start + margin for start in starts[1:]), length]
    return tile, [(start, (edges[i], edges[i + 1])) for i, start in enumerate(starts)]


def margin_of(backbone: Backbone, layers: Sequence[str]) -> int:
    """How far beyond a tile's core its layers see, in pixels, rounded to STRIDE: 64 on the pocket VGG, for 66."""
    fields = receptive_fields(backbone.name)
    reach = max(fields[layer][1] for layer in layers) / 2
    return max(1, round(reach / STRIDE)) * STRIDE


class TiledObjective:
    """An `Objective` on one network, tile by tile. Called, it returns what `Objective.on` does: loss, parts, gradient.

    Args:
        objective: one that `is_sum`.
        backbone: the network.
        smooth: whether total variation is wanted.
        side: of a tile in pixels, without what its rims overlap.
    """

    def __init__(self, objective: Objective, backbone: Backbone, smooth: bool, side: int):
        self.objective, self.backbone, self.smooth = objective, backbone, smooth
        self.layers = tuple(dict.fromkeys([*objective.content_layers, *objective.style_layers]))
        self._strides = {layer: stride for layer, (stride, _) in receptive_fields(backbone.name).items()}
        self.margin = margin_of(backbone, self.layers)
        self.side = side + 2 * self.margin
        self._sums = autodiff.compile_function(self._sum_up)
        self._pull = autodiff.compile_function(self._pull_back)
        self._variation = autodiff.compile_function(
            lambda x: autodiff.value_and_gradient(lambda y: (total_variation(y), ()), x)
        )

    def targets(
        self, content: np.ndarray, paintings: Sequence[np.ndarray], shares: Sequence[float], masks: Any = None
    ) -> dict[str, Any]:
        """As `Objective.targets`, in pieces: the photograph's activations are kept by tile."""
        grams = [self._painting_grams(painting) for painting in paintings]
        height, width = content.shape[:2]
        shape, tiles = split(height, width, self.side, self.margin)
        layers = self.objective.style_layers
        if masks is None:
            style = {
                name: sum(share * gram[name] for share, gram in zip(shares, grams, strict=True)) for name in layers
            }
            masks = [np.ones((height, width), "float32")]
        else:
            style = {name: np.concatenate([gram[name] for gram in grams]) for name in layers}
        regions, areas = {}, {}
        for name in layers:
            stride = self._strides[name]
            region = np.stack([fit_mask(mask, height // stride, width // stride) for mask in masks])
            areas[name] = region.mean(axis=(1, 2)) + 1e-6
            regions[name] = region / areas[name][:, None, None] / (region.shape[1] * region.shape[2])
        seen = [self.backbone(_crop(content[None], tile, shape), self.objective.content_layers) for tile in tiles]
        cores = [{name: self._core(tile, shape, name) for name in self.layers} for tile in tiles]
        pieces = []
        energy = {
            name: sum(_energy(activations[name], core[name]) for activations, core in zip(seen, cores, strict=True))
            + 1e-12
            for name in self.objective.content_layers
        }
        for tile, activations, core in zip(tiles, seen, cores, strict=True):
            weights = {name: regions[name][:, *self._window(tile, shape, name)] * core[name] for name in layers}
            shares_of_error = {name: core[name] / energy[name] for name in self.objective.content_layers}
            pieces.append(Piece(tile, activations, _as_tensors(shares_of_error), _as_tensors(weights)))
        return {"shape": shape, "pieces": pieces, "style": style, "areas": areas}

    def _painting_grams(self, painting: np.ndarray) -> dict[str, np.ndarray]:
        """The Gram matrices (1, c, c) of a picture of any size, by style layer."""
        height, width = painting.shape[:2]
        shape, tiles = split(height, width, self.side, self.margin)
        grams: dict[str, Any] = dict.fromkeys(self.objective.style_layers, 0.0)
        for tile in tiles:
            for name, activations in self.backbone(
                _crop(painting[None], tile, shape), self.objective.style_layers
            ).items():
                stride = self._strides[name]
                weight = self._core(tile, shape, name)[None] / ((height // stride) * (width // stride))
                grams[name] = grams[name] + ops.convert_to_numpy(_weighted_gram(activations, weight))
        return grams

    def __call__(self, x: Tensor, weights: Tensor, targets: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """`(loss, parts, gradient)` of a picture x (1, h, w, 3)."""
        shape = targets["shape"]
        totals: Any = None
        for piece in targets["pieces"]:
            sums = self._sums(_crop(x, piece.tile, shape), piece.content, piece.core, piece.weights)
            sums = {kind: {name: ops.convert_to_numpy(v) for name, v in part.items()} for kind, part in sums.items()}
            totals = sums if totals is None else {
                kind: {name: totals[kind][name] + value for name, value in part.items()} for kind, part in sums.items()
            }  # fmt: skip
        factors = ops.convert_to_numpy(weights)
        variation, gradient = 0.0, ops.zeros_like(x)
        if self.smooth:
            variation, _, gradient = self._variation(x)
            gradient = gradient * factors[1]
        content = sum(totals["content"].values()) / len(totals["content"])
        style, pulls = [], {}
        for number, name in enumerate(self.objective.style_layers):
            distance, slope = _style_slope(totals["grams"][name], targets["style"][name], targets["areas"][name])
            style.append(distance)
            pulls[name] = ops.convert_to_tensor(factors[2 + number] * slope, dtype="float32")
        pulls["content"] = ops.convert_to_tensor(factors[0] / len(totals["content"]), dtype="float32")
        for piece in targets["pieces"]:
            pull = self._pull(_crop(x, piece.tile, shape), pulls, piece.content, piece.core, piece.weights)
            place = (0, piece.tile.top, piece.tile.left, 0)
            gradient = ops.slice_update(gradient, place, _crop(gradient, piece.tile, shape) + pull)
        parts = ops.convert_to_tensor([float(content), float(variation), *map(float, style)], dtype="float32")
        return ops.sum(parts * weights), parts, gradient

    def _sum_up(self, crop: Tensor, content: dict, core: dict, weights: dict) -> dict[str, dict[str, Tensor]]:
        """What a tile adds to the content distance and to the Gram matrices of the whole."""
        activations = self.backbone(crop, self.layers)
        return {
            "content": {name: _content_error(activations[name], content[name], core[name]) for name in content},
            "grams": {name: _weighted_gram(activations[name], weights[name]) for name in weights},
        }

    def _pull_back(self, crop: Tensor, pulls: dict, content: dict, core: dict, weights: dict) -> Tensor:
        """The gradient with respect to a tile's pixels, given those with respect to the sums."""

        def pulled(x: Tensor) -> tuple[Tensor, tuple]:
            sums = self._sum_up(x, content, core, weights)
            value = pulls["content"] * sum(sums["content"].values())
            return value + sum(ops.sum(pulls[name] * gram) for name, gram in sums["grams"].items()), ()

        return autodiff.value_and_gradient(pulled, crop)[2]

    def _window(self, tile: Tile, shape: tuple[int, int], layer: str) -> tuple[slice, slice]:
        """The tile's place in the whole layer."""
        stride = self._strides[layer]
        top, left = tile.top // stride, tile.left // stride
        return slice(top, top + shape[0] // stride), slice(left, left + shape[1] // stride)

    def _core(self, tile: Tile, shape: tuple[int, int], layer: str) -> np.ndarray:
        """1 at the positions of a tile's layer that lie in its core, else 0: (h, w)."""
        stride = self._strides[layer]
        inside = []
        for start, (first, end), length in zip((tile.top, tile.left), (tile.rows, tile.columns), shape, strict=True):
            position = np.arange(length // stride) * stride + start
            inside.append((position >= first) & (position < end))
        return np.outer(*inside).astype("float32")


def _as_tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: ops.convert_to_tensor(array, dtype="float32") for name, array in arrays.items()}


def _crop(x: Tensor, tile: Tile, shape: tuple[int, int]) -> Tensor:
    return x[:, tile.top : tile.top + shape[0], tile.left : tile.left + shape[1]]


def _energy(activations: Tensor, core: np.ndarray) -> float:
    """Sum of squares of activations (1, h, w, channels) in a core (h, w)."""
    nothing = ops.zeros_like(activations)
    return float(ops.convert_to_numpy(_content_error(activations, nothing, ops.convert_to_tensor(core))))


@autodiff.run_as_one
def _weighted_gram(activations: Tensor, weights: Tensor) -> Tensor:
    """Sum over positions p of w_rp F_pi F_pj: (regions, channels, channels) of activations (1, h, w, c)."""
    flat = ops.cast(activations, "float32") * ops.sqrt(weights)[..., None]
    return gram_matrix(flat) * (flat.shape[1] * flat.shape[2])


@autodiff.run_as_one
def _content_error(activations: Tensor, target: Tensor, core: Tensor) -> Tensor:
    difference = ops.cast(activations, "float32") - ops.cast(target, "float32")
    return ops.sum(ops.sum(ops.square(difference), axis=(0, 3)) * core)


def _style_slope(gram: np.ndarray, target: np.ndarray, areas: np.ndarray) -> tuple[float, np.ndarray]:
    """The style distance of a layer (see `losses.guided_gram_distance`), and its derivative by the Gram matrices."""
    energy = (target**2).sum(axis=(1, 2)) + 1e-12
    shares = areas / areas.sum()
    errors = ((gram - target) ** 2).sum(axis=(1, 2)) / energy
    return float((shares * errors).sum()), (shares / energy)[:, None, None] * 2 * (gram - target)
