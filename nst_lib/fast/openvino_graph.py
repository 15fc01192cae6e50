"""The style network for OpenVINO: `network.py` again, operation by operation, with the channels before the rows.

What Keras exports turns the picture round before and after every convolution; here nothing is turned but the first picture
and the last. In bfloat16, where the processor has it, a frame then takes half the time that ONNX Runtime needs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

EPSILON = 1e-5  # as in `network.py`, which imports Keras; the tests hold the two against each other


def build_model(kernels: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Any:
    """An `openvino.Model` with the inputs and outputs of `network.build_network`, for pictures of one shape (n, h, w, 3).

    Args:
        kernels: by layer, (height, width, in, out).
        shape: of the pictures; h and w multiples of 4.
    """
    import openvino
    from openvino import opset13 as ops

    blocks = [layer.removesuffix("_conv1") for layer in sorted(kernels) if layer.endswith("_conv1")]
    normalised = ["stem", "down", *(f"{block}_conv{i}" for block in blocks for i in (1, 2)), "merge"]
    channels = [kernels[layer].shape[-1] for layer in normalised]
    n, length = shape[0], 2 * sum(channels)
    picture = ops.parameter(list(shape), np.float32, name="picture")
    style = ops.parameter([n, length, 1, 1], np.float32, name="style")
    statistics = ops.parameter([n, length, 1, 1], np.float32, name="statistics")
    fixed = ops.parameter([n, 1, 1, 1], np.float32, name="fixed")
    lengths = [2 * count for count in channels]
    styles, given = (iter(ops.variadic_split(values, 1, lengths).outputs()) for values in (style, statistics))
    measured: list[Any] = []

    def convolve(x: Any, layer: str, stride: int = 1) -> Any:
        kernel = np.ascontiguousarray(kernels[layer].transpose(3, 2, 0, 1))
        if kernel.shape[-1] == 3:
            x = ops.pad(x, [0, 0, 1, 1], [0, 0, 1, 1], "reflect")
        return ops.convolution(x, ops.constant(kernel), [stride] * 2, [0, 0], [0, 0], [1, 1])

    def normalise(x: Any) -> Any:
        own = ops.concat([ops.reduce_mean(values, [2, 3], keep_dims=True) for values in (x, ops.multiply(x, x))], 1)
        measured.append(own)
        used = ops.add(own, ops.multiply(fixed, ops.subtract(next(given), own)))
        mean, square = ops.split(used, 1, 2).outputs()
        scale, shift = ops.split(next(styles), 1, 2).outputs()
        variance = ops.maximum(ops.subtract(square, ops.multiply(mean, mean)), np.float32(0))
        gain = ops.divide(scale, ops.sqrt(ops.add(variance, np.float32(EPSILON))))
        return ops.add(ops.multiply(x, gain), ops.subtract(shift, ops.multiply(mean, gain)))

    x = ops.transpose(ops.subtract(ops.multiply(picture, np.float32(2)), np.float32(1)), [0, 3, 1, 2])
    fine = ops.relu(normalise(convolve(ops.space_to_depth(x, "blocks_first", 2), "stem")))
    x = ops.relu(normalise(convolve(fine, "down", stride=2)))
    for block in blocks:
        y = ops.relu(normalise(convolve(x, f"{block}_conv1")))
        x = ops.add(x, normalise(convolve(y, f"{block}_conv2")))
    x = ops.interpolate(
        convolve(x, "up"), np.array([2, 2], "float32"), "nearest", "scales", axes=[2, 3],
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    x = ops.relu(normalise(convolve(ops.add(x, fine), "merge")))
    x = ops.transpose(ops.depth_to_space(convolve(x, "head"), "blocks_first", 2), [0, 2, 3, 1])
    pastiche = ops.add(ops.multiply(x, np.float32(0.5)), np.float32(0.5))
    own_statistics = ops.squeeze(ops.concat(measured, 1), [2, 3])
    return openvino.Model([pastiche, own_statistics], [picture, style, statistics, fixed], "style_network")
