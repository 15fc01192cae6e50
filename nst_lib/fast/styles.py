"""Trained styles: the files that hold them, and the callable that repaints pictures in them.

Needs no engine where ONNX Runtime is installed, so nothing here imports Keras before it must.
"""

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_lib.errors import PictureError, SettingsError, StyleError, check_choice, check_number
from nst_lib.fast.running import OnnxRunner, Runner, check_engine, make_runner, paint_picture
from nst_lib.files import DAMAGED, as_word, atomic_write
from nst_lib.images import MIN_SIDE, check_picture, picture_suffixes

VERSION = 1  # goes up when an older file can no longer be read, or when the network changes
SHIPPED_FILE = Path(__file__).parents[1] / "assets" / "styles.npz"
THUMBNAIL = 96  # pixels, the side of the square cut from each painting


@dataclass(frozen=True)
class StyleFile:
    """A trained network, and the styles that it knows.

    Attributes:
        weights: the network's kernels by layer, (height, width, in, out).
        styles: the scales and shifts, (STYLE_LENGTH,), by the style's name.
        thumbnails: (96, 96, 3) uint8, a piece of each painting, by the style's name.
        about: how it was trained: backbone, weights of the loss, photographs, pictures seen.
    """

    weights: dict[str, np.ndarray]
    styles: dict[str, np.ndarray]
    thumbnails: dict[str, np.ndarray]
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike) -> Path:
        """Write it to an .npz file, in half precision. Raises StyleError if the disk does not take it."""
        header = json.dumps({"version": VERSION, "about": self.about}, default=lambda value: value.tolist()).encode()
        arrays = {f"network/{name}": kernel.astype(np.float16) for name, kernel in self.weights.items()}
        arrays |= {f"style/{name}": numbers.astype(np.float16) for name, numbers in self.styles.items()}
        arrays |= {f"thumbnail/{name}": piece for name, piece in self.thumbnails.items()}
        with atomic_write(path, StyleError) as file:
            np.savez_compressed(file, header=np.frombuffer(header, dtype="uint8"), **arrays)  # type: ignore[arg-type]
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "StyleFile":
        """Read what `save` wrote. Raises StyleError if it is missing, damaged, or of another version."""
        path = Path(path)
        if not path.is_file():
            raise StyleError(f"there is no style file {path}. Check the path; `nst train` makes such files.")
        damaged = StyleError(f"{path} is not a style file, or is damaged. Copy it again, or train it again.")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays.pop("header").tobytes())
            version, about = header["version"], header["about"]
        except DAMAGED as problem:
            raise damaged from problem
        if version != VERSION:
            raise StyleError(
                f"{path} is a style file of version {version}; this program reads version {VERSION}. Train it again, or use "
                "the program that made it."
            )
        groups: dict[str, dict[str, np.ndarray]] = {"network": {}, "style": {}, "thumbnail": {}}
        for name, array in arrays.items():
            kind, _, key = name.partition("/")
            groups.setdefault(kind, {})[key] = array if kind == "thumbnail" else array.astype(np.float32)
        if not groups["network"] or not groups["style"]:
            raise damaged
        if not all(np.isfinite(array).all() for kind in ("network", "style") for array in groups[kind].values()):
            raise StyleError(f"{path} has numbers that are none: its training went wrong. Train it again.")
        return cls(groups["network"], groups["style"], groups["thumbnail"], about)


class Style:
    """A style, or a blend of several, that repaints pictures in one pass. Made by `load_style`.

    Attributes:
        shares: how much of each style there is, by name; they sum to 1.
        file: the StyleFile that the styles come from.
    """

    def __init__(self, file: StyleFile, shares: Mapping[str, float], run: Runner):
        self.file, self.run, self.shares = file, run, _normalised(shares)
        for name in self.shares:
            check_choice("style", name, file.styles)
        self.numbers = np.sum([share * file.styles[name] for name, share in self.shares.items()], axis=0)

    def __call__(self, picture: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Repaint a picture (Johnson et al. 2016).

        Args:
            picture: (height, width, 3), RGB in [0, 1], each side at least 32; or several, (n, height, width, 3). Of more
                than 12.5 million pixels it is painted in tiles, which takes less memory; see `running.paint_picture`.
            strength: from 0, the photograph, to 1, the pastiche.

        Returns:
            The pastiche, float32, of the same shape, in [0, 1].

        Raises:
            PictureError: if it is no picture, or too small.
            SettingsError: if the strength is not within [0, 1].
        """
        check_number("strength", strength, 0, 1)
        if getattr(picture, "ndim", 3) == 4:
            if not len(picture):
                raise PictureError("there is no picture in the batch.")
            return np.stack([self(one, strength) for one in picture])
        return self.paint_frame(picture, strength)[0]

    def paint_frame(
        self, picture: np.ndarray, strength: float = 1.0, statistics: np.ndarray | None = None, fixed: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for a frame of a film: also returns the network's statistics of it (STYLE_LENGTH,), and takes those of
        other frames, to be used in the measure of `fixed` in [0, 1]."""
        picture = check_picture(picture)
        if min(picture.shape[:2]) < MIN_SIDE:
            height, width = picture.shape[:2]
            raise PictureError(f"the picture is {width} x {height} pixels: each side needs at least {MIN_SIDE}.")
        pastiche, own = paint_picture(self.run, picture, self.numbers, statistics, fixed)
        if strength < 1:
            pastiche *= strength
            pastiche += (1 - strength) * picture
        return pastiche, own

    def blend(self, shares: Mapping[str, float]) -> "Style":
        """Other shares of the styles in the same file, by name. Raises SettingsError for bad shares or unknown names."""
        return Style(self.file, shares, self.run)


def _normalised(shares: Mapping[str, float]) -> dict[str, float]:
    for name, share in shares.items():
        check_number(f"the share of {name}", share, 0)
    total = sum(shares.values())
    if not total > 0:
        raise SettingsError(f"the shares {list(shares.values())} sum to {total:g}: give at least one above 0.")
    return {name: share / total for name, share in shares.items()}


def style_names() -> list[str]:
    """The names of the shipped styles."""
    return sorted(shipped_styles().styles)


def shipped_styles() -> StyleFile:
    """The network and the styles that come with the library."""
    return StyleFile.load(SHIPPED_FILE)


def load_style(
    style: str | os.PathLike | Sequence[str | os.PathLike],
    shares: Sequence[float] | None = None,
    engine: str = "auto",
    frames: bool = False,
) -> Style:
    """Load a style, or several to blend.

    Args:
        style: a shipped style's name (see `style_names`), or a file that `nst train` or `nst export` made; or a list of
            those to blend. Of a file with several styles, FILE:NAME is one.
        shares: how much of each of several, all positive; equal by default.
        engine: "onnx", "openvino", "keras", or "auto": ONNX Runtime where it is installed, else Keras.
        frames: whether it is for many pictures of one size; then "auto" is OpenVINO where it is installed.

    Raises:
        SettingsError: for an unknown name (with the nearest ones), shares that do not fit, or an unknown engine.
        StyleError: if a file is missing, damaged or of another version, or styles of different networks are to be blended.
    """
    wanted = [os.fspath(style)] if isinstance(style, (str, os.PathLike)) else [os.fspath(one) for one in style]
    shares = [1.0] * len(wanted) if shares is None else list(shares)
    if not wanted or len(shares) != len(wanted):
        raise SettingsError(f"{len(wanted)} styles and {len(shares)} shares: give a share for each style.")
    if wanted[0].endswith(".onnx") and len(wanted) == 1:
        return _load_exported(wanted[0], shares[0], engine)
    if exported := [one for one in wanted if one.endswith(".onnx")]:
        raise StyleError(f"{exported[0]} was exported, and cannot be blended. Give the style it was exported from.")
    found = [_find(one) for one in wanted]
    first = found[0][0]
    styles: dict[str, np.ndarray] = dict(first.styles)
    by_name: dict[str, float] = {}
    for one, (file, name), share in zip(wanted, found, shares, strict=True):
        if any(not np.array_equal(file.weights[layer], kernel) for layer, kernel in first.weights.items()):
            raise StyleError(
                f"{wanted[0]} and {one} belong to different networks, and cannot be blended. Train one of them into the "
                "other's network: nst train --vector-only."
            )
        key = name if name not in by_name else f"{name} ({len(by_name) + 1})"
        styles[key], by_name[key] = file.styles[name], share
    run = make_runner(first.weights, engine, frames=frames)
    return Style(StyleFile(first.weights, styles, first.thumbnails, first.about), by_name, run)


def load_file(path: str | os.PathLike) -> tuple[StyleFile, Callable[[], Runner]]:
    """A file that `nst train` or `nst export` made, and what makes a runner of its network. Raises StyleError."""
    if os.fspath(path).endswith(".onnx"):
        style = load_style(path)
        return style.file, lambda: style.run
    file = StyleFile.load(path)
    return file, lambda: make_runner(file.weights)


def _load_exported(path: str, share: float, engine: str) -> Style:
    """A style that `nst export` wrote."""
    if engine in ("keras", "openvino"):
        raise SettingsError(f"{path} can only be run by ONNX Runtime: leave out the engine, or choose onnx.")
    check_engine("onnx")
    if not Path(path).is_file():
        raise StyleError(f"there is no style file {path}. Check the path; `nst export` makes such files.")
    try:
        run = OnnxRunner(exported=path)
        name, numbers = run.about["name"], np.array(run.about["numbers"], "float32")
    except Exception as problem:  # ONNX Runtime has exceptions of its own for every kind of damage
        raise StyleError(f"{path} is not a style that `nst export` wrote, or is damaged. Export it again.") from problem
    return Style(StyleFile({}, {name: numbers}, {}), {name: share}, run)


def _find(text: str) -> tuple[StyleFile, str]:
    """The file that has a style, and its name there."""
    path, _, name = text.rpartition(":")
    if not path.endswith(".npz"):
        path, name = text, ""
    if not path.endswith(".npz"):
        if Path(text).suffix.lower() in picture_suffixes() and Path(text).is_file():
            word = shlex.quote(as_word(text))
            raise SettingsError(
                f"{text} is a picture, not a trained style. `nst paint PHOTOGRAPH {word}` paints in its manner without any; "
                f"`nst train {word} --photos DIR` makes one of it."
            )
        shipped = shipped_styles()
        check_choice("style", text, shipped.styles)
        return shipped, text
    file = StyleFile.load(path)
    if name:
        check_choice(f"style of {path}", name, file.styles)
    elif len(file.styles) > 1:
        raise SettingsError(
            f"{path} has {len(file.styles)} styles: give one of them, as {path}:{next(iter(file.styles))}."
        )
    return file, name or next(iter(file.styles))
