"""VGG19, VGG16 and the pocket VGG as one thing: a picture goes in, named activations come out.

Everything about a network's own input (BGR, 0-255, mean subtracted) stays in this file.
"""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from nst_lib import autodiff
from nst_lib.errors import SettingsError, check_choice
from nst_lib.weights import ARCHITECTURES, find_weights, layer_shapes, read_weights

Tensor = Any  # a tensor of the engine that Keras runs on

CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)
# Root mean square after max pooling over that after average pooling, before each block after the first: measured with
# VGG16 on the bundled pictures at 256 px. Activations keep their size when the pooling changes.
AVERAGE_POOLING_GAIN = (1.26, 1.63, 1.69, 1.82)


class Backbone:
    """A pretrained network that turns pictures into named activations. Made by `load_backbone`.

    Attributes:
        name: "pocket", "vgg16" or "vgg19".
        layers: the names of its convolutions, from the picture downwards.
    """

    def __init__(self, name: str, weights: dict, pooling: str, padding: str, dtype: str):
        self.name, self.pooling, self.padding, self.dtype = name, pooling, padding, dtype
        self.layers = tuple(layer for layer in layer_shapes(name) if layer in weights)
        self._convolutions, self._heads = {}, {}
        for layer in self.layers:
            kernel, bias, head = (weights[layer].get(kind) for kind in ("kernel", "bias", "head"))
            edge = "valid" if layer == "block1_conv1" and padding == "replicate" else "same"
            options = {"kernel_size": 3, "padding": edge, "activation": "relu", "name": layer, "dtype": dtype}
            self._convolutions[layer] = _frozen(keras.layers.Conv2D, kernel, bias, **options)
            if head is not None:
                self._heads[layer] = _frozen(keras.layers.Dense, head, name=f"{layer}_head", dtype=dtype)
        variables = [v for part in (*self._convolutions.values(), *self._heads.values()) for v in part.variables]
        self._see = autodiff.run_as_one(self._activations, variables)

    def __call__(self, pictures: Tensor, layers: Sequence[str], periodic: bool = False) -> dict[str, Tensor]:
        """The activations of `layers`, after their ReLU; nothing deeper than the deepest of them is computed.

        Args:
            pictures: (n, height, width, 3) or (height, width, 3), RGB in [0, 1], height and width at least 16.
            layers: names such as "block4_conv2".
            periodic: whether every convolution sees the picture continued beyond its edges by itself, so that the edges are
                nothing special; exactly so where height and width are multiples of 16.

        Returns:
            `{layer: (n, h, w, channels)}` in `dtype`; h and w halve with every block. The pocket VGG's activations are
            multiplied by its `head`, after which their inner products are those of VGG16's.

        Raises:
            SettingsError: for a layer that the network does not have.
        """
        self.check_layers(layers)
        x = ops.convert_to_tensor(pictures, dtype="float32")
        if len(x.shape) == 3:
            x = x[None]
        return self._see(x, layers=tuple(layers), periodic=periodic)

    def _activations(self, x: Tensor, *, layers: tuple[str, ...], periodic: bool) -> dict[str, Tensor]:
        x = ops.cast(ops.flip(x, axis=-1) * 255.0 - ops.array(IMAGENET_MEAN_BGR, dtype="float32"), self.dtype)
        if self.padding == "replicate" and not periodic:
            x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")  # by one pixel: the edge again
        activations, rim = {}, 0
        for layer in self.layers:
            if layer.endswith("_conv1"):
                if layer != "block1_conv1":
                    x = _without(rim // 2, self._pool(x, before_block=int(layer[5])))
                if periodic:
                    rim = self._rim(layer)
                    x = wrapped(x, rim + self._eats_edge(layer))
            x = self._convolutions[layer](x)
            if layer in layers:
                seen = _without(rim, x)
                activations[layer] = self._heads[layer](seen) if layer in self._heads else seen
            if len(activations) == len(set(layers)):
                break
        return activations

    def _rim(self, first: str) -> int:
        """How far a block's input must be continued, as each of its convolutions spoils a pixel; even, for the pooling."""
        convolutions = sum(layer.startswith(first[:6]) for layer in self.layers)
        return convolutions + convolutions % 2

    def _eats_edge(self, layer: str) -> bool:
        return self._convolutions[layer].padding == "valid"

    def _pool(self, x: Tensor, before_block: int) -> Tensor:
        if self.pooling == "max":
            return autodiff.max_pool(x)
        return ops.average_pool(x, 2, strides=2) * AVERAGE_POOLING_GAIN[before_block - 2]

    def check_layers(self, layers: Sequence[str]) -> None:
        """Raise SettingsError, with the nearest names, unless the network has all `layers` and there is at least one."""
        if not layers:
            raise SettingsError(f"no layers given. {self.name} has {', '.join(self.layers)}.")
        for layer in layers:
            check_choice(f"layer of {self.name}", layer, self.layers)


def wrapped(x: Tensor, margin: int) -> Tensor:
    """Pictures (n, h, w, c), continued by `margin` pixels of themselves on every side, as on a torus."""
    for axis in (1, 2):
        side = x.shape[axis]
        if side < 2 * margin:
            x = ops.take(x, np.arange(-margin, side + margin) % side, axis)
        else:  # split, not sliced: the gradient of a slice is a whole picture of zeros
            first, middle, last = ops.split(x, [margin, side - margin], axis)
            x = ops.concatenate([last, first, middle, last, first], axis)
    return x


def _without(rim: int, x: Tensor) -> Tensor:
    for axis in (1, 2) if rim else ():
        x = ops.split(x, [rim, x.shape[axis] - rim], axis)[1]
    return x


def _frozen(kind: type, kernel: np.ndarray, bias: np.ndarray | None = None, **options: Any) -> keras.layers.Layer:
    """A layer that begins with its weights: to fill it with others first, JAX would compile something for every shape."""

    def give(array: np.ndarray | None) -> Callable:
        return lambda shape, dtype=None: ops.convert_to_tensor(array, dtype=dtype)

    initializers = {"kernel_initializer": give(kernel), "bias_initializer": give(bias)}
    layer = kind(kernel.shape[-1], use_bias=bias is not None, **initializers, **options)
    layer.build((None, None, None, kernel.shape[-2]))
    layer.trainable = False
    return layer


def load_backbone(
    name: str | None = None,
    weights: str | os.PathLike | None = None,
    pooling: str = "max",
    padding: str = "zeros",
    dtype: str = "float32",
) -> Backbone:
    """Load a network with pretrained weights. Asked again for the same, it returns the same object.

    Args:
        name: "pocket" (built in), "vgg16" or "vgg19"; by default the environment's NST_BACKBONE, else "pocket".
        weights: a file in Keras' .h5 / .weights.h5 or in .npz format; by default the built-in or downloaded one.
        pooling: "max", as trained, or "avg" (Gatys et al. 2015, "Methods"), rescaled so that activations keep their size.
        padding: of the first convolution: "zeros", as trained, or "replicate", which spares the picture a dark rim.
        dtype: of weights and activations: "float32" or "bfloat16".

    Raises:
        SettingsError: for an unknown name, pooling, padding or dtype.
        WeightsError: if the weights are missing, damaged or of another network.
    """
    name = name or os.environ.get("NST_BACKBONE") or "pocket"
    check_choice("backbone", name, ARCHITECTURES)
    check_choice("pooling", pooling, ("max", "avg"))
    check_choice("padding", padding, ("zeros", "replicate"))
    check_choice("dtype", dtype, ("float32", "bfloat16"))
    path = Path(weights or find_weights(name))
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _read_backbone(name, path, changed, pooling, padding, dtype)


@functools.lru_cache(maxsize=4)
def _read_backbone(name: str, path: Path, changed: int, pooling: str, padding: str, dtype: str) -> Backbone:
    """`changed` is when the file was: another file of the same name is another network."""
    return Backbone(name, read_weights(path, name), pooling, padding, dtype)
