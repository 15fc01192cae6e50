"""The style network: a picture goes in, the same picture painted comes out, in one pass.

After Johnson et al. 2016 and Dumoulin et al. 2017, but made for a processor: nothing is convolved at full size, cells of
2 x 2 pixels being folded into one position; most of the work is done on cells of 4 x 4; and no kernel exceeds 3 x 3. One
network holds many styles: a style is no more than a scale and a shift for each normalised channel.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any

FINE, WIDTH = 16, 32  # channels at half and at a quarter of the resolution
BLOCKS = 5  # residual blocks, at a quarter
CHANNELS = (FINE, WIDTH, *(2 * BLOCKS * [WIDTH]), FINE)  # of each normalisation, in the network's order
STYLE_LENGTH = 2 * sum(CHANNELS)  # the numbers that make a style
EPSILON = 1e-5


def build_network(dtype: str = "float32") -> keras.Model:
    """An untrained style network.

    Its inputs, in order:
        picture: (n, h, w, 3), RGB in [0, 1]; h and w multiples of 4.
        style: (n, STYLE_LENGTH): for each normalisation, the scales and then the shifts of its channels.
        statistics: (n, STYLE_LENGTH): for each normalisation, its channels' means and then mean squares, as the network
            hands them out; used in the measure of `fixed`.
        fixed: (n,): 0, the rule, to normalise by the picture's own statistics; 1 to normalise by `statistics`, so that the
            tiles of a large picture or the frames of a film fit together; between, a mixture.

    Its outputs: the pastiche (n, h, w, 3), which may overshoot [0, 1] a little, and the picture's own statistics.

    Args:
        dtype: Keras' dtype policy: "float32", or "mixed_bfloat16" to train where that is faster.
    """
    picture = keras.Input((None, None, 3), name="picture")
    style = keras.Input((STYLE_LENGTH,), name="style")
    statistics = keras.Input((STYLE_LENGTH,), name="statistics")
    fixed = keras.Input((), name="fixed")

    ends = [2 * sum(CHANNELS[:i]) for i in range(1, len(CHANNELS))]
    styles = iter(ops.split(style[:, None, None, :], ends, axis=-1))
    given = iter(ops.split(statistics[:, None, None, :], ends, axis=-1))
    how_fixed = ops.reshape(fixed, (-1, 1, 1, 1))
    measured = []

    def convolve(x: Tensor, channels: int, name: str, **options: Any) -> Tensor:
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")
        return layers.Conv2D(
            channels, 3, use_bias=False, kernel_initializer=GlorotUniform(), name=name, dtype=dtype, **options
        )(x)

    def normalise(x: Tensor) -> Tensor:
        x, own = ConditionalInstanceNorm(dtype=dtype, autocast=False)([x, next(styles), next(given), how_fixed])
        measured.append(own)
        return x

    x = Fold(2, dtype=dtype)(picture * 2.0 - 1.0)  # (n, h/2, w/2, 12)
    fine = ops.relu(normalise(convolve(x, FINE, "stem")))  # (n, h/2, w/2, FINE)
    x = ops.relu(normalise(convolve(fine, WIDTH, "down", strides=2)))  # (n, h/4, w/4, WIDTH)
    for i in range(BLOCKS):
        y = ops.relu(normalise(convolve(x, WIDTH, f"block{i + 1}_conv1")))
        x = x + normalise(convolve(y, WIDTH, f"block{i + 1}_conv2"))
    x = layers.Conv2D(FINE, 1, use_bias=False, kernel_initializer=GlorotUniform(), name="up", dtype=dtype)(x)
    x = layers.UpSampling2D(2, dtype=dtype)(x) + fine  # (n, h/2, w/2, FINE)
    x = ops.relu(normalise(convolve(x, FINE, "merge")))
    x = Unfold(2, dtype=dtype)(convolve(x, 12, "head", kernel_constraint=flat_stays_flat))
    pastiche = ops.cast(x, "float32") * 0.5 + 0.5  # (n, h, w, 3)
    own_statistics = ops.concatenate(measured, axis=-1)[:, 0, 0]
    return keras.Model([picture, style, statistics, fixed], [pastiche, own_statistics], name="style_network")


class GlorotUniform(keras.initializers.GlorotUniform):
    """Keras' usual initialiser (Glorot & Bengio 2010, eq. 16), drawn by numpy: on every engine the same kernels from the same
    seed. And JAX would compile a generator for every shape, which takes longer than to paint."""

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """A kernel (height, width, in, out)."""
        *window, inputs, outputs = shape
        limit = math.sqrt(6.0 / (math.prod(window) * (inputs + outputs)))
        values = np.random.default_rng(self.seed).uniform(-limit, limit, shape)
        return ops.convert_to_tensor(values, dtype=dtype)


def plain_style() -> np.ndarray:
    """The style (STYLE_LENGTH,) from which training sets out: scales of 1, shifts of 0."""
    return np.concatenate([np.repeat([1.0, 0.0], channels) for channels in CHANNELS]).astype("float32")


def get_kernels(network: keras.Model, instead: Mapping[str, Tensor] | None = None) -> dict[str, np.ndarray]:
    """All that the network has learnt but its styles: a kernel (height, width, in, out) by layer. `instead` has other
    values for some of them, by the variables' paths: their running averages, say."""
    values = {v.path.split("/")[-2]: (instead or {}).get(v.path, v) for v in network.variables}
    return {layer: ops.convert_to_numpy(value) for layer, value in values.items()}


def set_kernels(network: keras.Model, kernels: Mapping[str, np.ndarray]) -> None:
    """Give a network what `get_kernels` took from another."""
    for variable in network.variables:
        variable.assign(kernels[variable.path.split("/")[-2]])


def flat_stays_flat(kernel: Tensor) -> Tensor:
    """The nearest kernel (3, 3, in, 12) for which equal features all over give one colour all over.

    Each of a cell's 2 x 2 pixels has weights of its own; where their sums differ, the cells show as a grid (Odena et al.
    2016, "Deconvolution and checkerboard artifacts"). So every pixel gets the mean of the sums.
    """
    height, width, channels, outputs = kernel.shape
    phases = ops.reshape(kernel, (height, width, channels, outputs // 3, 3))
    sums = ops.mean(phases, axis=(0, 1), keepdims=True)
    return ops.reshape(phases - sums + ops.mean(sums, axis=3, keepdims=True), kernel.shape)


class ConditionalInstanceNorm(layers.Layer):
    """Instance normalisation (Ulyanov et al. 2016) whose scales and shifts are the style (Dumoulin et al. 2017, eq. 5).

    Takes [x, scales and shifts, given statistics, how far those are used]; returns x normalised, and its own statistics
    (n, 1, 1, 2 channels): means and mean squares. Those, and the scales, are float32 whatever x is.
    """

    def call(self, inputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Shapes: (n, h, w, c), twice (n, 1, 1, 2c), (n, 1, 1, 1)."""
        x, style, given, fixed = inputs
        wide = ops.cast(x, "float32")
        means, squares = (ops.mean(values, axis=(1, 2), keepdims=True) for values in (wide, wide * wide))
        own = ops.concatenate([means, squares], axis=-1)
        mean, square = ops.split(own + fixed * (given - own), 2, axis=-1)
        scale, shift = ops.split(style, 2, axis=-1)
        gain = scale * ops.rsqrt(ops.maximum(square - mean * mean, 0.0) + EPSILON)
        return x * ops.cast(gain, x.dtype) + ops.cast(shift - mean * gain, x.dtype), own


class Fold(layers.Layer):
    """Cells of `side` x `side` pixels become one position with all their channels (space to depth)."""

    def __init__(self, side: int, **options: Any):
        super().__init__(**options)
        self.side = side

    def call(self, x: Tensor) -> Tensor:
        """(n, h, w, c) to (n, h / side, w / side, side² c)."""
        s, (_, h, w, c) = self.side, ops.shape(x)
        cells = ops.reshape(x, (-1, h // s, s, w // s, s, c))
        return ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4, 5)), (-1, h // s, w // s, s * s * c))

    def compute_output_shape(self, shape: tuple) -> tuple:
        """For JAX, which cannot find it out by itself while the sides are unknown."""
        n, h, w, c = shape
        return n, h and h // self.side, w and w // self.side, self.side**2 * c


class Unfold(layers.Layer):
    """What `Fold` does, undone (depth to space, "pixel shuffle")."""

    def __init__(self, side: int, **options: Any):
        super().__init__(**options)
        self.side = side

    def call(self, x: Tensor) -> Tensor:
        """(n, h, w, side² c) to (n, h side, w side, c)."""
        s, (_, h, w, c) = self.side, ops.shape(x)
        cells = ops.reshape(x, (-1, h, w, s, s, c // s**2))
        return ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4, 5)), (-1, h * s, w * s, c // s**2))

    def compute_output_shape(self, shape: tuple) -> tuple:
        """As above."""
        n, h, w, c = shape
        return n, h and h * self.side, w and w * self.side, c // self.side**2
