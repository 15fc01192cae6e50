"""What a painting will cost, before it starts: memory by a formula, which also says when to paint in tiles, and time by a
trial of its pieces on this machine."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import Backbone
from nst_lib.errors import SettingsError
from nst_lib.pyramid import Level
from nst_lib.tiles import margin_of, split
from nst_lib.weights import layer_shapes, receptive_fields

if TYPE_CHECKING:
    from nst_lib.painting import Painting

SIDES = (2048, 1536, 1024, 768, 512, 384, 256, 128)  # of tiles, in pixels, without their rims
TRIAL = 512  # pixels: the side of the picture that the trial evaluates
# Measured with TensorFlow on a processor, from 0.2 to 3.1 million pixels, on the pocket VGG and VGG16:
ENGINE_BYTES = 1.0e9  # Python, the engine, a network, and what its allocator keeps
WORKING = 50  # pictures that a compiled step of the optimiser holds beside its state
WORKING_TILED = 22  # ... and one that is not compiled, as in tiles
OVERHEAD = 4.5  # what an evaluation holds, gradients and all, over the bytes of its activations


@dataclass(frozen=True)
class Estimate:
    """What a painting will cost.

    Attributes:
        seconds: of optimisation that are still to come, by a trial on this machine.
        gigabytes: of memory, at most, the engine included.
        tiles: in how many pieces the finished size is painted.
    """

    seconds: float
    gigabytes: float
    tiles: int


def estimate(painting: "Painting") -> Estimate:
    """Try out the pieces of a painting's steps, which takes some seconds, and add up what the rest of them will cost."""
    rest = painting.levels[painting.level :]
    rates = {level.backbone: _seconds_per_pixel(painting, level.backbone) for level in rest}
    last = painting.levels[-1]
    layers = [*painting.content_layers, *painting.style_layers]
    state = painting.optimizer.start(ops.zeros((1, last.height, last.width, 3)))
    evaluation = ops.zeros(()), ops.zeros((2 + len(painting.style_layers),)), ops.ones_like(state["x"])
    move = _timed(lambda: painting.optimizer.step(lambda _: evaluation, state)[0]["x"], 1) / (last.height * last.width)
    steps = [rest[0].steps - painting.timing.level_steps, *(level.steps for level in rest[1:])]
    seconds = sum(
        count * (_pixels_seen(level, layers) * rates[level.backbone] + level.height * level.width * move)
        for count, level in zip(steps, rest, strict=True)
    )
    if painting.seconds is not None:
        seconds = painting.eta
    peak = max(level_bytes(level, level.tile, layers, painting.optimizer.pictures) for level in rest)
    return Estimate(max(0.0, seconds), peak / 1e9, _tiling(last, last.tile, layers)[1])


def choose_tiles(levels: Sequence[Level], layers: Sequence[str], pictures: int, memory: float | None) -> None:
    """Give every level the largest tiles with which it stays within `memory` GB, or none where the whole picture does.

    By default that is half of what is free, or as little as possible; on a GPU, whose memory is not known here, there is
    no limit unless one is given.

    Raises:
        SettingsError: if a given limit is too small for the smallest tiles.
    """
    if memory is None and autodiff.gpus():
        return
    limit = (psutil.virtual_memory().available / 2) if memory is None else 1e9 * memory
    least = 0.0
    for level in levels:
        for side in (None, *SIDES):
            level.tile = side
            if level_bytes(level, side, layers, pictures) <= limit:
                break
        else:
            least = max(least, level_bytes(level, level.tile, layers, pictures))
    if memory is not None and least:
        raise SettingsError(
            f"{memory:g} GB are too little for {levels[-1].width} x {levels[-1].height}, which takes "
            f"{math.ceil(least / 1e8) / 10} GB in the smallest tiles. Allow as much, or choose a smaller size."
        )


def smaller_tile(level: Level, layers: Sequence[str]) -> int | None:
    """The side of the largest tiles with which a level holds at most 3/4 as many pixels as now; None if there are none."""
    now, _ = _tiling(level, level.tile, layers)
    return next((side for side in SIDES if _tiling(level, side, layers)[0] <= 0.75 * now), None)


def level_bytes(level: Level, tile: int | None, layers: Sequence[str], pictures: int) -> float:
    """The memory that a level takes at its peak: the engine, the optimiser with a state of `pictures`, the activations."""
    seen, _ = _tiling(level, tile, layers)
    pictures += WORKING_TILED if tile else WORKING
    return (
        ENGINE_BYTES
        + 12 * pictures * level.height * level.width
        + OVERHEAD * _activation_bytes(level.backbone, layers) * seen
    )


def _activation_bytes(backbone: Backbone, layers: Sequence[str]) -> float:
    """Of all activations up to the deepest of `layers`, by pixel of the picture."""
    size = 2 if backbone.dtype == "bfloat16" else 4
    deepest = max(backbone.layers.index(layer) for layer in layers)
    shapes, fields = layer_shapes(backbone.name), receptive_fields(backbone.name)
    return sum(size * shapes[name][1] / fields[name][0] ** 2 for name in backbone.layers[: deepest + 1])


def _tiling(level: Level, tile: int | None, layers: Sequence[str]) -> tuple[int, int]:
    """The pixels of a tile with its rims, and how many there are; without tiles, the picture is the only one."""
    if not tile:
        return level.height * level.width, 1
    margin = margin_of(level.backbone, layers)
    (height, width), tiles = split(level.height, level.width, tile + 2 * margin, margin)
    return height * width, len(tiles)


def _pixels_seen(level: Level, layers: Sequence[str]) -> float:
    """Pixels that one evaluation looks at; tiles are looked at a second time, the first without a gradient."""
    pixels, count = _tiling(level, level.tile, layers)
    return pixels * count * (4 / 3 if level.tile else 1)


def _seconds_per_pixel(painting: "Painting", backbone: Backbone) -> float:
    """Of one evaluation of the loss and its gradient."""
    height, width = (min(TRIAL, side) for side in painting.subject.content.shape[:2])
    picture = np.random.default_rng(0).uniform(size=(height, width, 3)).astype("float32")
    shares = [1 / len(painting.subject.styles)] * len(painting.subject.styles)
    targets = painting.objective.targets(backbone, picture, [picture] * len(shares), shares)
    weights = painting.objective.weight_vector(**painting.loss_weights)
    objective = autodiff.compile_function(painting.objective.on(backbone, painting.tv_weight > 0))
    x = ops.convert_to_tensor(picture[None])
    return _timed(lambda: objective(x, weights, targets)[0], 3) / (height * width)


def _timed(function: Callable[[], Any], times: int) -> float:
    """Median seconds of a function that returns a tensor, after a first call that compiles."""
    seconds = []
    for _ in range(times + 1):
        started = time.perf_counter()
        ops.convert_to_numpy(function())
        seconds.append(time.perf_counter() - started)
    return median(seconds[1:])
