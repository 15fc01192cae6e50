"""Make notebooks/figures/vgg*.jpg: pictures that excite single channels of the real VGG19 and VGG16 more and more.

A picture is a sum of cosine waves in decorrelated colours, seen through a window that jumps and zooms at every step;
Adam turns the waves' coefficients up the gradient of the logarithm of the channel's mean activation, less a little total
variation (Olah, Mordvintsev and Schubert 2017, "Feature visualization"). The colours' statistics are those of data/content.
The weights are those that `nst fetch vgg19` and `nst fetch vgg16` stored, or named files. About half an hour on two cores.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops
from PIL import Image
from tqdm import tqdm

from nst_lib.autodiff import compile_function, fastest_dtype, value_and_gradient
from nst_lib.backbones import Backbone, load_backbone
from nst_lib.images import load_image, to_pil
from nst_lib.losses import total_variation
from nst_lib.weights import layer_shapes

ROOT = Path(__file__).resolve().parent.parent
GAP = 6  # pixels between tiles
MARGIN = 1.2  # side of the picture over that of the window: the room in which it jumps
ZOOM = 0.1  # the window's side varies by this share
LEARNING_RATE, TV_WEIGHT, DECAY = 0.05, 1.0, 0.02
LARGEST = 79_000  # bytes of a file


@dataclass(frozen=True)
class Sheet:
    """One figure: rows of tiles, a row for each layer."""

    network: str
    rows: Sequence[tuple[str, Sequence[int]]]
    side: int


SHEETS = {
    "vgg19_blocks_1_to_3": Sheet(
        "vgg19",
        (
            ("block1_conv2", (30, 50, 22, 45, 60, 15)),
            ("block2_conv2", (12, 1, 40, 120, 55, 25)),
            ("block3_conv4", (1, 10, 60, 170, 140, 100)),
        ),
        128,
    ),
    "vgg16_block_4": Sheet(
        "vgg16", (("block4_conv3", (77, 500, 121, 3, 250)), ("block4_conv3", (15, 350, 420, 40, 160))), 150
    ),
    "vgg16_block_5": Sheet(
        "vgg16", (("block5_conv1", (17, 310, 4, 33, 201)), ("block5_conv1", (477, 256, 119, 150, 88))), 150
    ),
}


def decorrelated_colors() -> np.ndarray:
    """(3, 3): independent numbers of variance 1, times this, vary together as the photographs' red, green and blue do."""
    files = sorted((ROOT / "data/content").glob("*.jpg"))
    pixels = np.concatenate([load_image(file, 96).reshape(-1, 3) for file in files])
    variances, axes = np.linalg.eigh(np.cov(pixels.T))
    colors = (axes * np.sqrt(variances)).T
    return (colors / np.linalg.norm(colors, axis=1).max()).astype("float32")


def make_painter(size: int) -> Callable[[Any, Any, Any], Any]:
    """A function of coefficients (size, size, 3) and places (h,), (w,), which paints those places: (1, h, w, 3) in [0, 1].

    Coefficient (k, l) belongs to a wave of k half periods down and l across; it counts 1 / frequency, as in photographs.
    """
    number = np.arange(size)
    size_of_wave = 1 / np.maximum(np.hypot(number[:, None], number), 1)
    size_of_wave *= 8 / (size * np.sqrt((size_of_wave**2).mean()))
    size_of_wave = size_of_wave[..., None].astype("float32")
    frequencies = (np.pi * number / size).astype("float32")
    colors = decorrelated_colors()

    def paint(coefficients: Any, down: Any, across: Any) -> Any:
        columns = ops.einsum("yk,klc->ylc", ops.cos(down[:, None] * frequencies), coefficients * size_of_wave)
        waves = ops.einsum("xl,ylc->yxc", ops.cos(across[:, None] * frequencies), columns)
        return ops.sigmoid(ops.matmul(waves, colors))[None]

    return paint


def make_visualiser(backbone: Backbone, layer: str, side: int, steps: int) -> Callable[[int], np.ndarray]:
    """A function of a channel's number that returns the picture (side, side, 3) that excites it."""
    size = round(side * MARGIN)
    paint = make_painter(size)
    channels = layer_shapes(backbone.name)[layer][1]

    def step(coefficients: Any, mean: Any, square: Any, count: Any, down: Any, across: Any, one_hot: Any) -> Any:
        def loss(coefficients: Any) -> Any:
            picture = paint(coefficients, down, across)
            activation = ops.mean(ops.matmul(ops.cast(backbone(picture, [layer])[layer], "float32"), one_hot))
            return TV_WEIGHT * total_variation(picture) - ops.log(activation + 1e-3), activation

        _, activation, gradient = value_and_gradient(loss, coefficients)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        move = mean / (1 - 0.9**count) / (ops.sqrt(square / (1 - 0.99**count)) + 1e-8)
        return (1 - DECAY) * coefficients - LEARNING_RATE * move, mean, square, activation

    step = compile_function(step)

    def visualise(channel: int) -> np.ndarray:
        chance = np.random.default_rng(channel)
        one_hot = ops.convert_to_tensor(np.eye(channels, dtype="float32")[channel][:, None])
        coefficients = ops.convert_to_tensor(chance.normal(0, 0.3, (size, size, 3)).astype("float32"))
        mean = square = ops.zeros_like(coefficients)
        for count in range(1, steps + 1):
            zoom = 1 + chance.uniform(-ZOOM, ZOOM)
            places = [(chance.uniform(0, size - side * zoom) + zoom * (np.arange(side) + 0.5)) for _ in range(2)]
            down, across = (ops.convert_to_tensor(place.astype("float32")) for place in places)
            state = step(coefficients, mean, square, ops.convert_to_tensor(np.float32(count)), down, across, one_hot)
            coefficients, mean, square, activation = state
        if not float(activation) > 0:
            print(f"{backbone.name} {layer}: channel {channel} never fired; choose another")
        places = ops.convert_to_tensor((np.arange(side) + 0.5 + (size - side) / 2).astype("float32"))
        return ops.convert_to_numpy(paint(coefficients, places, places))[0]

    return visualise


def make_sheet(sheet: Sheet, weights: Path | None, steps: int) -> np.ndarray:
    """The tiles of a sheet on white, (h, w, 3)."""
    backbone = load_backbone(sheet.network, weights, dtype=fastest_dtype())
    visualisers = {layer: make_visualiser(backbone, layer, sheet.side, steps) for layer, _ in sheet.rows}
    width = max(len(channels) for _, channels in sheet.rows)
    pitch = sheet.side + GAP
    paper = np.ones((pitch * len(sheet.rows) - GAP, pitch * width - GAP, 3), "float32")
    places = [(row, column) for row, (_, channels) in enumerate(sheet.rows) for column in range(len(channels))]
    for row, column in tqdm(places, desc=f"{sheet.network} {sheet.rows[0][0]} ..."):
        layer, channels = sheet.rows[row]
        tile = visualisers[layer](channels[column])
        paper[row * pitch : row * pitch + sheet.side, column * pitch : column * pitch + sheet.side] = tile
    return paper


def save_small(image: Image.Image, path: Path) -> None:
    """Write a JPEG of at most LARGEST bytes, in the best quality that fits."""
    for quality in range(90, 20, -2):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= LARGEST:
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} KB at quality {quality}")
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"of {', '.join(SHEETS)} (default: all)")
    parser.add_argument("--vgg16", type=Path, help="weights, .npz or .h5 (default: what `nst fetch vgg16` stored)")
    parser.add_argument("--vgg19", type=Path, help="the same for vgg19; its first three blocks suffice")
    parser.add_argument("--steps", type=int, default=100, help="of gradient ascent for each tile (default: 100)")
    options = parser.parse_args()
    weights = {"vgg16": options.vgg16, "vgg19": options.vgg19}
    folder = ROOT / "notebooks" / "figures"
    folder.mkdir(exist_ok=True)
    for name in options.names or SHEETS:
        sheet = SHEETS[name]
        save_small(to_pil(make_sheet(sheet, weights[sheet.network], options.steps)), folder / f"{name}.jpg")


if __name__ == "__main__":
    main()
