"""Exploring: one photograph painted in many ways on one sheet, to choose from before a large picture is painted.

Each tile is the coarsest level of the pyramid that `paint_command` then climbs: the same picture, not finished. What tiles
have in common is computed once: the photograph's activations, each painting's Gram matrices, the compiled step.
"""

import math
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from keras import ops
from PIL import Image, ImageDraw, ImageFont
from tqdm.auto import tqdm

from nst_lib import autodiff
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.errors import NSTError, SettingsError, check_choice, check_number
from nst_lib.files import as_word
from nst_lib.images import MIN_SIDE, check_picture, resize, to_pil
from nst_lib.objective import Objective
from nst_lib.optimizers import LBFGS
from nst_lib.pyramid import plan_levels
from nst_lib.stage import compile_step
from nst_lib.subject import resize_painting

MAX_TILES = 64
MAX_SCALE = 8  # of the paintings: beyond, enlarged ones fill gigabytes
STEPS = 25  # what a painting of 1024 pixels does at its coarsest level, by default
LARGE = 1024  # pixels: the long side of the pictures that the commands paint
LAYERS = {"all": STYLE_LAYERS, "fine": STYLE_LAYERS[:2], "coarse": STYLE_LAYERS[2:]}
# Where only the pictures are given: what differs most, of what was tried on the bundled ones.
WEIGHTS, SCALES, GROUPS = (0.05, 0.2, 1.0, 5.0), (1.0, 3.0), ("all", "coarse")
MARGIN, GAP, LINE = 28, 10, 20  # of the sheet, in pixels
INK, GREY, EMPTY = "#222222", "#888888", "#f2f2f2"


@dataclass(frozen=True)
class Variant:
    """One way to paint the photograph.

    Attributes:
        painting: which of the paintings, from 0.
        style_weight, style_scale: as `Painting` has them.
        layers: "all", "fine" (blocks 1 and 2: colours and fine strokes) or "coarse" (blocks 3 to 5: larger shapes).
        seed: of the noise from which it starts; None starts from the photograph.
    """

    painting: int = 0
    style_weight: float = 1.0
    layers: str = "all"
    style_scale: float = 1.0
    seed: int | None = None

    def describe(self, axes: Collection[str], names: Sequence[str] = ()) -> list[str]:
        """A phrase for each of the attributes in `axes`; `names` are the paintings'."""
        phrases = {
            "painting": names[self.painting] if names else f"painting {self.painting + 1}",
            "style_weight": f"style weight {_plain(self.style_weight)}",
            "layers": f"{self.layers} layers",
            "style_scale": f"style scale {_plain(self.style_scale)}",
            "seed": "from the photograph" if self.seed is None else f"seed {self.seed}",
        }
        return [phrase for axis, phrase in phrases.items() if axis in axes]


AXES = tuple(field.name for field in fields(Variant))


@dataclass(frozen=True)
class Tile:
    """A place on the sheet: its number, from 1; how it is to be painted; and the picture (h, w, 3), or None before that.

    Where there cannot be one, `problem` says why.
    """

    number: int
    variant: Variant
    picture: np.ndarray | None = None
    problem: str = ""


def explore(
    content: np.ndarray,
    paintings: np.ndarray | Sequence[np.ndarray],
    *,
    style_weights: Sequence[float] | None = None,
    style_scales: Sequence[float] | None = None,
    layers: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    size: int = 256,
    steps: int = STEPS,
    progress: bool = True,
    on_step: Callable[[int, int], object] | None = None,
    should_stop: Callable[[], object] | None = None,
) -> list[Tile]:
    """Paint every combination of the settings given, small, on the pocket VGG.

    Args:
        content: the photograph, (h, w, 3) in [0, 1].
        paintings: one, or several, each of which is painted from in every way.
        style_weights: not negative, not all 0.
        style_scales: the painting's size over the picture's, 0.1 to 8.
        layers: "all", "fine", "coarse": see `Variant`.
        seeds: start from noise, once for each of them, instead of from the photograph. From there every seed ends
            elsewhere; from the photograph, all would end in the same picture.
        size: long side of a tile in pixels.
        steps: evaluations of the loss for each tile.
        progress: whether to show a bar over all steps.
        on_step: called after every step with their number so far and in all.
        should_stop: asked before every step; when true, the tiles not finished by then have no picture.

    Where none of the settings is given: four style weights, with all and with the coarse layers, at scales 1 and 3; for
    several paintings the four weights alone.

    Returns:
        The tiles, in reading order of `draw_sheet`. One whose loss is not a number any more has a `problem` for a picture.

    Raises:
        PictureError: for what is no picture, or too long and thin for the size.
        SettingsError: for settings out of range, no paintings, or more than 64 tiles.
        NSTError: if no tile's loss stays a number.
    """
    paintings = [paintings] if isinstance(paintings, np.ndarray) else list(paintings)
    tiles = plan_tiles(len(paintings), style_weights, style_scales, layers, seeds)
    check_number("size", size, whole=True, least=MIN_SIDE)
    check_number("steps", steps, whole=True, least=1)
    resize(content, size)  # refuses what is too thin
    content = resize(check_picture(content, "the photograph"), size << _doublings(size))
    paintings = [check_picture(painting, "the painting") for painting in paintings]

    dtype = autodiff.fastest_dtype()
    backbone = load_backbone("pocket", padding="replicate", dtype=dtype)
    objective, optimizer = Objective((CONTENT_LAYER,), STYLE_LAYERS, "gram"), LBFGS(noise=autodiff.loss_noise(dtype))
    doublings = _doublings(size)
    height, width = content.shape[:2]
    level = plan_levels(height, width, 2 * doublings * steps, backbone, backbone, doublings + 1)[0]
    start = resize(content, (level.height, level.width))
    step = compile_step(optimizer, objective, backbone, True, (level.height, level.width))
    targets: dict[tuple[int, float], Any] = {}
    done, total = 0, steps * len(tiles)
    with tqdm(total=total, desc="exploring", leave=False, disable=not progress) as bar:
        for i, tile in enumerate(tiles):
            variant = tile.variant
            key = variant.painting, variant.style_scale
            if key not in targets:
                model = resize_painting(paintings[variant.painting], max(start.shape) * variant.style_scale)
                targets[key] = objective.targets(backbone, start, [model], [1.0])
            # Layers left out have weight 0, so that one compiled step serves all; the mean is over the others.
            chosen = LAYERS[variant.layers]
            layer_weights = {name: len(STYLE_LAYERS) / len(chosen) * (name in chosen) for name in STYLE_LAYERS}
            weights = objective.weight_vector(1.0, variant.style_weight, 0.5, layer_weights)
            x = start
            if variant.seed is not None:
                x = np.random.default_rng(variant.seed).uniform(size=start.shape).astype("float32")
            state = optimizer.start(ops.convert_to_tensor(x[None]))
            while done < (i + 1) * steps:
                if should_stop and should_stop():
                    return tiles
                state, loss, _ = step(state, weights, targets[key])
                lost = not np.isfinite(ops.convert_to_numpy(loss))
                done = (i + 1) * steps if lost else done + 1
                bar.update(done - bar.n)
                if on_step:
                    on_step(done, total)
            if lost:
                phrases = ", ".join(variant.describe(AXES))
                tiles[i] = replace(tile, problem=f"the loss is not a number any more: {phrases}. Try smaller weights.")
            else:
                tiles[i] = replace(tile, picture=np.clip(ops.convert_to_numpy(state["best"])[0], 0, 1))
    if all(tile.problem for tile in tiles):
        raise NSTError(tiles[0].problem)
    return tiles


def plan_tiles(
    paintings: int,
    style_weights: Sequence[float] | None = None,
    style_scales: Sequence[float] | None = None,
    layers: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[Tile]:
    """The tiles that `explore` paints, before it does. Raises SettingsError."""
    if not paintings:
        raise SettingsError("no painting given: at least one is needed for the style.")
    if all(given is None for given in (style_weights, style_scales, layers, seeds)):
        style_weights = WEIGHTS
        style_scales, layers = (SCALES, GROUPS) if paintings == 1 else (None, None)
    axes: dict[str, list[Any]] = {"painting": list(range(paintings))}
    for name, given, usual in (("style weight", style_weights, 1.0), ("group of layers", layers, "all"),
                               ("style scale", style_scales, 1.0), ("seed", seeds, None)):  # fmt: skip
        axes[name] = [usual] if given is None else list(dict.fromkeys(given))
        if not axes[name]:
            raise SettingsError(f"no {name} in the list given: give at least one, or leave the list out.")
    for weight in axes["style weight"]:
        check_number("style weight", weight, least=0)
    if not any(axes["style weight"]):
        raise SettingsError("the style weights are all 0: that is the photograph. Give one above 0.")
    for scale in axes["style scale"]:
        check_number("style scale", scale, 0.1, MAX_SCALE)
    for group in axes["group of layers"]:
        check_choice("group of layers", group, LAYERS)
    for seed in () if seeds is None else axes["seed"]:
        check_number("seed", seed, whole=True, least=0)
    count = math.prod(map(len, axes.values()))
    if count > MAX_TILES:
        factors = " x ".join(str(len(axis)) for axis in axes.values() if len(axis) > 1)
        raise SettingsError(
            f"{factors} = {count} tiles are too many for one sheet: at most {MAX_TILES}. Give fewer values."
        )
    return [Tile(number, Variant(*values)) for number, values in enumerate(product(*axes.values()), start=1)]


def _plain(number: float) -> str:
    """A number as one would type it, with all its digits."""
    return str(number).removesuffix(".0")


def _doublings(size: int) -> int:
    """How many times a tile doubles to become the large picture."""
    return max(1, (LARGE // size).bit_length() - 1)


def paint_command(
    variant: Variant,
    content: str | os.PathLike,
    paintings: Sequence[str | os.PathLike],
    output: str | os.PathLike,
    *,
    size: int = 256,
    steps: int = STEPS,
) -> list[str]:
    """The words of the command that paints a variant large, into the file `output`.

    The first level of its pyramid is the tile of this `size` and these `steps`; see `explore`. The long side is 1024
    pixels where doubling the size leads there, otherwise the nearest below, but at least twice the size.
    """
    doublings = _doublings(size)
    words = [
        "nst",
        "paint",
        as_word(content),
        as_word(paintings[variant.painting]),
        "--size",
        size << doublings,
        "--pyramid",
        doublings + 1,
    ]
    words += ["--steps", 2 * doublings * steps, "--backbone", "pocket", "--style-weight", _plain(variant.style_weight)]
    words += ["--style-scale", _plain(variant.style_scale)] if variant.style_scale != 1 else []
    words += ["--style-layers", *LAYERS[variant.layers]] if variant.layers != "all" else []
    words += ["--init", "noise", "--seed", variant.seed] if variant.seed is not None else []
    return [str(word) for word in (*words, "-o", as_word(output))]


def draw_sheet(tiles: Sequence[Tile], title: str = "", names: Sequence[str] = ()) -> np.ndarray:
    """The tiles with their numbers and settings on one sheet, a picture (h, w, 3). Of a tile not painted the place is empty.

    With two settings or more that vary, the first change from row to row and the last from column to column; a single one
    runs on from row to row.

    Args:
        tiles: as `explore` returns them.
        title: a line above them.
        names: of the paintings.

    Raises:
        SettingsError: if no tile has a picture.
    """
    painted = [tile.picture for tile in tiles if tile.picture is not None]
    if not painted:
        raise SettingsError("none of the tiles is painted: there is nothing to draw.")
    down, across, columns = _arrange(tiles)
    height, width = painted[0].shape[:2]
    rows = math.ceil(len(tiles) / columns)
    each = not down  # a single axis runs on: every tile has its own heading
    heading = LINE * len(across) + 6 if across else 0
    left = MARGIN + (LINE * len(down) + 6 if down else 0)
    top = MARGIN + (2 * LINE if title else 0) + heading
    step_x, step_y = width + GAP, height + LINE + GAP + (heading if each else 0)
    size = (left + columns * step_x - GAP + MARGIN, top + rows * step_y + MARGIN - GAP - (heading if each else 0))
    sheet = Image.new("RGB", size, "white")
    for tile in tiles:
        row, column = divmod(tile.number - 1, columns)
        x, y = left + column * step_x, top + row * step_y
        if tile.picture is not None:
            sheet.paste(to_pil(tile.picture), (x, y))
        else:
            ImageDraw.Draw(sheet).rectangle((x, y, x + width - 1, y + height - 1), fill=EMPTY)
        _write(sheet, (x, y + height + 3), str(tile.number), width, 13, GREY)
        if each or row == 0:
            for i, phrase in enumerate(tile.variant.describe(across, names)):
                _write(sheet, (x, y - heading + i * LINE), phrase, width)
        if column == 0 and down:
            lines = Image.new("RGB", (height, LINE * len(down)), "white")
            for i, phrase in enumerate(tile.variant.describe(down, names)):
                _write(lines, (0, i * LINE), phrase, height)
            sheet.paste(lines.transpose(Image.Transpose.ROTATE_90), (MARGIN, y))
    _write(sheet, (left, MARGIN - 4), title, sheet.width - left - MARGIN, 20)
    return np.asarray(sheet) / np.float32(255)


def _arrange(tiles: Sequence[Tile]) -> tuple[list[str], list[str], int]:
    """Which settings vary from row to row and which from column to column, and the number of columns."""
    counts = {name: len({getattr(tile.variant, name) for tile in tiles}) for name in AXES}
    axes = [name for name, count in counts.items() if count > 1]
    if len(axes) < 2:
        return [], axes, math.ceil(math.sqrt(len(tiles)))
    widths = {cut: math.prod(counts[name] for name in axes[cut:]) for cut in range(1, len(axes))}
    cut = min(widths, key=lambda cut: abs(widths[cut] - len(tiles) / widths[cut]))
    return axes[:cut], axes[cut:], widths[cut]


def _write(sheet: Image.Image, place: tuple[int, int], text: str, width: int, size: int = 15, color: str = INK) -> None:
    """Write a line that is cut short where there is no room for it."""
    font = _font(text, size)
    while len(text) > 1 and font.getlength(text) > width:
        text = text.removesuffix("…")[:-1].rstrip() + "…"
    ImageDraw.Draw(sheet).text(place, text, fill=color, font=font)


def _font(text: str, size: int) -> Any:
    """Pillow's own font, which has the letters of English; for others one of the system's, where there is one."""
    for name in () if text.isascii() else ("DejaVuSans.ttf", "Arial.ttf"):
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)
