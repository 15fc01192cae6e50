"""Checks for notebook 08."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nst_lib.checks import NoAnswer, WrongAnswer, call, exercise, expect, to_array, to_picture
from nst_lib.color import from_oklab, to_oklab
from nst_lib.metrics import score
from nst_lib.textures import LEAST, seam

MIXED = {"A": (3, "coarse"), "B": (0.1, "all"), "C": (3, "all"), "D": (0.1, "coarse")}
FREE = ("CC0", "public domain", "CC BY 2.0", "CC BY 4.0", "CC BY-SA 4.0", "CC BY-NC 4.0")
CLOSED = ("all rights reserved", "CC BY-ND 4.0", "CC BY-NC-ND 4.0", "found on the web", "", None, "© Agency", "ask me")


def unlabelled(tiles: Sequence[Any]) -> list[np.ndarray]:
    """Four tiles of the sheet at style scale 1, in an order of our own."""
    at_scale_1 = [tile for tile in tiles if tile.variant.style_scale == 1]
    by_settings = {(tile.variant.style_weight, tile.variant.layers): tile.picture for tile in at_scale_1}
    return [by_settings[settings] for settings in MIXED.values()]


@exercise
def labels(answer: Any) -> str:
    """Style weight and layers of four tiles."""
    if not isinstance(answer, Mapping):
        raise WrongAnswer(f"This should be a dictionary of four labels, not {type(answer).__name__}.")
    expect(set(answer) == set(MIXED), "There should be one label for each of A, B, C and D.")
    for name, label in answer.items():
        pair = isinstance(label, Sequence) and not isinstance(label, str) and len(label) == 2
        expect(pair, f'The label of {name} should be a pair, such as (0.1, "all").')
        if any(part is ... for part in label):
            raise NoAnswer
        expect(tuple(label) in MIXED.values(), f'{name}: the weight is 0.1 or 3, the layers are "all" or "coarse".')
    layers = sum(answer[name][1] == MIXED[name][1] for name in MIXED)
    weights = sum(answer[name][0] == MIXED[name][0] for name in MIXED)
    expect(layers == 4, f"The layers are right for {layers} of 4. Which two have the café's own colours?")
    expect(weights == 4, f"All layers are right, the weights for {weights} of 4. Which backgrounds are busiest?")
    return "You read it like a contact print."


@exercise
def my_tile(tile: Any, source: Any) -> str:
    """A tile without a seam, in the manner of its source."""
    tile, source = to_picture(tile, "the tile"), to_picture(source, "the source")
    expect(min(tile.shape[:2]) >= LEAST, f"The tile is {tile.shape[1]} x {tile.shape[0]}: at least 128 pixels a side.")
    expect(tile.std(axis=(0, 1)).max() > 0.01, "One colour all over has no seam, but no texture either.")
    down, across = seam(tile)
    found = f"the seams are at percentiles {down:.0f} and {across:.0f}"
    expect(max(down, across) <= 98, f"An edge shows: {found}. Is it a tile?")
    expect(min(down, across) >= 2, f"A blur shows: {found}.")
    noise = np.clip(0.5 + np.random.default_rng(0).normal(0, 0.1, tile.shape), 0, 1).astype("float32")
    nearer = score(tile, tile, source, "pocket").style < 0.7 * score(noise, noise, source, "pocket").style
    expect(nearer, "It has no seam, but nothing of its source either: grey noise is about as near to it in style.")
    return f"No seam: percentiles {down:.0f} and {across:.0f}."


@exercise
def feathers(mask: Any, kingfisher: np.ndarray) -> str:
    """A mask of the orange feathers."""
    mask = to_array(mask)
    expect(
        mask.shape == kingfisher.shape[:2], f"A mask of shape {kingfisher.shape[:2]} was asked for, not {mask.shape}."
    )
    expect(mask.min() >= 0 and mask.max() <= 1, "Its values should lie between 0 and 1.")
    _, red, yellow = np.moveaxis(to_oklab(kingfisher), -1, 0)
    sure, bird = (red > 0.1) & (yellow > 0.05), (red > 0.05) & (yellow > 0.03)
    expect(mask.max() > 0.5, "Nothing in it is white.")
    kept, spilt = mask[sure].mean(), mask[~bird].mean()
    expect(kept > spilt, "It is the negative: orange should be 1, the rest 0.")
    expect(spilt < 0.03, f"It spills: {spilt:.0%} of what is not orange is in it as well.")
    expect(kept > 0.8, f"Only {kept:.0%} of the clearly orange pixels are in it.")
    return f"{kept:.0%} of the orange, and {spilt:.1%} of the rest."


@exercise
def limit_palette(function: Callable) -> str:
    """Each pixel becomes the colour that looks most like it."""
    generator = np.random.default_rng(8)
    picture = generator.uniform(size=(24, 20, 3)).astype("float32")
    colours = from_oklab(generator.uniform((0.1, -0.1, -0.1), (0.95, 0.1, 0.1), (1, 6, 3)))[0]
    found = to_array(call(function, picture.copy(), colours.copy()))
    expect(found.shape == picture.shape, f"The picture's shape, {picture.shape}, should stay; this is {found.shape}.")
    gaps = np.abs(found[:, :, None] - colours).max(axis=-1)
    expect(gaps.min(axis=-1).max() < 1e-3, "There are colours in it that are not in the palette.")
    chosen = gaps.argmin(axis=-1)

    def nearest(pixels: np.ndarray, centres: np.ndarray) -> np.ndarray:
        return np.square(pixels[:, :, None] - centres).sum(axis=-1).argmin(axis=-1)

    by_eye, by_screen = nearest(to_oklab(picture), to_oklab(colours[None])[0]), nearest(picture, colours)
    expect(len(np.unique(chosen)) > 1, "Everything has become one colour.")
    if not np.mean(chosen == by_eye) > 0.995:
        expect(not np.mean(chosen == by_screen) > 0.995, "Nearest to a screen: that is red, green and blue. To an eye?")
        raise WrongAnswer(
            f"{np.mean(chosen != by_eye):.0%} of the pixels have not the colour that looks most like them."
        )
    return "Six colours, chosen as an eye would."


@exercise
def credit(function: Callable) -> str:
    """A caption, or a ValueError."""
    for licence in FREE:
        line = call(function, "The cup", "R. Michetti", licence)
        expect(isinstance(line, str), f"The caption should be a string, not {type(line).__name__}.")
        for part in ("The cup", "R. Michetti", licence):
            expect(part in line, f"For {licence!r}, this does not say {part!r}: {line}")
        expect("modified" in line.lower(), f"For {licence!r}: was the picture changed? {line}")
    for unfree in CLOSED:
        try:
            function("The cup", "R. Michetti", unfree)
        except ValueError:
            continue
        except Exception as problem:
            raise WrongAnswer(
                f"{unfree!r} led to {type(problem).__name__}, where a ValueError was asked for."
            ) from None
        raise WrongAnswer(f"{unfree!r} should raise a ValueError: is sharing a modified picture allowed there?")
    return "It credits what it may, and asks where it may not."


@exercise
def my_board(paths: Any, pictures: Any) -> str:
    """At least four different pictures, on a page in two files."""
    pair = isinstance(paths, Sequence) and not isinstance(paths, str) and len(paths) == 2
    expect(pair, "The answer should be what moodboard returns: the path of a PNG, and that of a PDF.")
    expect(all(isinstance(path, str | Path) for path in paths), "These should be two paths, as moodboard returns them.")
    expect(isinstance(pictures, Sequence), f"The pictures should be in a list, not {type(pictures).__name__}.")
    hung = [to_picture(picture, f"picture {number}") for number, picture in enumerate(pictures, start=1)]
    different = len({picture.tobytes() for picture in hung})
    expect(different >= 4, f"At least four different pictures were asked for; there are {different}.")
    for path, start in zip(map(Path, paths), (b"\x89PNG", b"%PDF"), strict=True):
        expect(path.is_file(), f"There is no {path.name}.")
        expect(path.read_bytes()[:4] == start, f"{path.name} is not what its name says.")
    return f"{len(hung)} pictures and their colours, in {Path(paths[1]).name}."
