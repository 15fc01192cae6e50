"""Mood boards: pictures, their palettes and the palette of them all, on one page for the wall.

The rows are justified like lines of text: pictures of a row are equally high, and rows are broken where the page fills best.
"""

import difflib
import io
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_lib.color import from_oklab, to_oklab
from nst_lib.errors import SettingsError, check_number
from nst_lib.files import as_text, atomic_write, beside, check_writable
from nst_lib.images import check_picture, load_reduced, to_pil

MAX_PICTURES = 100  # more would be stamps
PAGE, MARGIN, GAP = (297.0, 210.0), 14.0, 5.0  # millimetres: A4 landscape
STRIP, CODES = 4.5, 3.0  # the heights of a palette and of the line of codes below it
FEW = 12  # pictures: of more, gaps and palettes shrink as well
BAND, MOST = 13.0, 45.0  # the height of the common palette: at least, and where the pictures leave room
LEAST_WIDTH = 12.0  # for the palette of a narrow picture
POINT = 25.4 / 72  # in millimetres
DPI = 200
PIXELS = 2400  # the long side of what is kept of a picture: the page's at that resolution
ACCENT = np.array([1.0, 2.0, 2.0])  # hue and saturation count twice: a small bright spot is what one remembers
BIN, APART = 0.08, 0.25  # in Oklab so stretched: a bin's side, and how far the colours of a palette are apart
_settings_lock = threading.Lock()  # matplotlib's settings are one set for the whole process: one page at a time
INK, GREY = "#222222", "#777777"


def moodboard(
    pictures: Sequence[np.ndarray],
    output: str | os.PathLike,
    *,
    title: str = "",
    columns: int | None = None,
    font: str | None = None,
) -> tuple[Path, Path]:
    """Lay out pictures and their palettes on an A4 page.

    Args:
        pictures: up to 100, (h, w, 3) in [0, 1], of any shapes. Their order is kept.
        output: a file name that ends in .png or .pdf; both are written. The text in the PDF stays text.
        title: a line at the top.
        columns: pictures in a row; by default as many as fill the page best.
        font: the name of an installed font; by default matplotlib's own.

    Returns:
        The paths of the PNG and of the PDF. The same arguments give the same bytes on the same machine.

    Raises:
        PictureError: for what is no picture.
        SettingsError: for no pictures or too many, an unknown font, a file that cannot be written, or without matplotlib.
    """
    paths = board_paths(output)
    for path in paths:
        check_writable(path, SettingsError)
    board = draw_board(pictures, ("png", "pdf"), title=title, columns=columns, font=font)
    for path, kind in zip(paths, ("png", "pdf"), strict=True):
        with atomic_write(path, SettingsError) as file:
            file.write(board.files[kind])
    return paths


@dataclass(frozen=True)
class Board:
    """A page.

    Attributes:
        files: its bytes as "png", "pdf" or "jpeg".
        boxes: where the pictures are: left, top, width and height as shares of the page's width and height.
    """

    files: dict[str, bytes]
    boxes: list[tuple[float, float, float, float]]


def draw_board(
    pictures: Sequence[np.ndarray],
    kinds: Sequence[str],
    *,
    title: str = "",
    columns: int | None = None,
    font: str | None = None,
) -> Board:
    """The page that `moodboard` writes, as files of these `kinds`; arguments and errors are its."""
    check_count(len(pictures))
    pictures = [check_picture(picture, "a picture of the board") for picture in pictures]
    check_number("columns", 1 if columns is None else columns, whole=True, least=1)
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as problem:
        raise SettingsError(
            f'mood boards need matplotlib ({problem}). Run `pip install "nst_lib[course]"`.'
        ) from problem

    title = as_text(title)
    settings: dict[Any, Any] = {"font.family": _families(font), "pdf.fonttype": 42, "text.parse_math": False}
    with _settings_lock, matplotlib.rc_context(settings):
        figure = Figure(figsize=(PAGE[0] / 25.4, PAGE[1] / 25.4), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        boxes = _draw(figure, pictures, " ".join(title.split()), columns)
        metadata: dict[str, Any] = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Title": title}}
        files = {}
        for kind in kinds:
            encoded = io.BytesIO()
            figure.savefig(encoded, format=kind, dpi=DPI, metadata=metadata.get(kind))
            files[kind] = encoded.getvalue()
    return Board(files, [(x / PAGE[0], y / PAGE[1], w / PAGE[0], h / PAGE[1]) for x, y, w, h in boxes])


def missing_letters(text: str, font: str | None = None) -> str:
    """The letters of a text for which neither a font nor matplotlib's own has a shape. Raises SettingsError."""
    from matplotlib import font_manager

    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in _families(font)]
    letters = dict.fromkeys("".join(as_text(text).split()))
    return "".join(letter for letter in letters if not any(known.get_char_index(ord(letter)) for known in fonts))


def load_for_board(path: str | os.PathLike, pictures: int = 1) -> np.ndarray:
    """A picture, no larger than a page of so many pictures shows it, so that they fit in memory. Raises PictureError."""
    return load_reduced(path, math.ceil(1.5 * PIXELS / math.sqrt(pictures)), PIXELS)  # more than its share of the page


def check_count(pictures: int) -> None:
    """Raise SettingsError unless a board takes so many pictures."""
    if not 1 <= pictures <= MAX_PICTURES:
        raise SettingsError(f"{pictures} pictures for a mood board: give 1 to {MAX_PICTURES}.")


def board_paths(output: str | os.PathLike) -> tuple[Path, Path]:
    """The PNG and the PDF that go with a name of either: the other one by the same name, if it is free or this one is taken
    as well. Raises SettingsError for other names."""
    output = Path(output)
    if output.suffix.lower() not in (".png", ".pdf"):
        raise SettingsError(f"cannot write {output}: a mood board's name ends in .png or .pdf.")
    png, pdf = (
        output if output.suffix.lower() == suffix else beside(output, output.with_suffix(suffix))
        for suffix in (".png", ".pdf")
    )
    return png, pdf


def palette(picture: np.ndarray, colors: int = 5) -> np.ndarray:
    """The main colours of a picture.

    k-means in Oklab, where distances are what one sees, from the start of Chang et al. 2015 (Palette-based photo recoloring,
    section 3.2): the fullest bin of a histogram, then the fullest far from it, and so on. Nothing is random.

    Args:
        picture: (h, w, 3) in [0, 1].
        colors: how many; fewer come back if the picture has fewer.

    Returns:
        (colors, 3) in [0, 1], dark to light.

    Raises:
        SettingsError: if `colors` is no whole number from 1.
    """
    check_number("colors", colors, 1, whole=True)
    # Of few pixels none is left out: the colours of many pictures may come in one long row.
    small = picture.shape[0] * picture.shape[1] <= 96**2
    down, across = (1 if small else math.ceil(side / 96) for side in picture.shape[:2])
    pixels = to_oklab(picture[::down, ::across]).reshape(-1, 3) * ACCENT
    bins, inverse, counts = np.unique(np.round(pixels / BIN), axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    means = np.stack([np.bincount(inverse, pixels[:, axis]) for axis in range(3)], axis=-1) / counts[:, None]
    weights, centres = counts.astype("float64"), np.empty((0, 3))
    while len(centres) < min(colors, len(bins)):
        centres = np.append(centres, means[weights.argmax()][None], axis=0)
        weights *= 1 - np.exp(-(((means - centres[-1]) / APART) ** 2).sum(-1))
    for _ in range(30):
        nearest = ((means[:, None] - centres) ** 2).sum(-1).argmin(1)
        for i in set(nearest):
            centres[i] = np.average(means[nearest == i], axis=0, weights=counts[nearest == i])
    return from_oklab(centres[centres[:, 0].argsort()][None] / ACCENT)[0]


def hex_code(color: np.ndarray) -> str:
    """A colour (3,) in [0, 1] as designers write it: #0F4C81."""
    return "#" + "".join(f"{round(255 * float(channel)):02X}" for channel in color)


def _families(font: str | None) -> list[str]:
    """The font's name, and matplotlib's own for the letters that it lacks."""
    from matplotlib import font_manager

    wanted = font or "DejaVu Sans"
    names = font_manager.get_font_names()
    if not names:
        raise SettingsError("fonts missing: matplotlib finds none at all, not even its own. Install matplotlib again.")
    by_lower = {name.lower(): name for name in names}
    if wanted.lower() not in by_lower:
        if font is None:
            return [names[0]]
        near = [by_lower[name] for name in difflib.get_close_matches(wanted.lower(), by_lower, n=3, cutoff=0.3)]
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {len(names)}, such as {names[0]}."
        raise SettingsError(f"unknown font {font!r}: no font of this name is installed. {hint}")
    return [by_lower[wanted.lower()], *(["DejaVu Sans"] if "dejavu sans" in by_lower else [])]


def _draw(
    figure: Any, pictures: list[np.ndarray], title: str, columns: int | None
) -> list[tuple[float, float, float, float]]:
    """Draw the page, in millimetres from its top left corner; return the pictures' left, top, width and height."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    width = PAGE[0] - 2 * MARGIN
    top, bottom = MARGIN, PAGE[1] - MARGIN
    if title:
        text = axes.text(MARGIN, MARGIN - 1, title, fontsize=22, color=INK, va="top")
        axes.set(xlim=(0, PAGE[0]), ylim=(PAGE[1], 0))
        extent = text.get_window_extent().width / DPI * 25.4
        text.set_fontsize(22 * min(1, width / extent))
        top += 22 * POINT + GAP
    aspects = [picture.shape[1] / picture.shape[0] for picture in pictures]
    alone = len(pictures) == 1  # then its palette is the common one
    scale = max(math.sqrt(min(1, FEW / len(pictures))), 0.5)
    below = 0.0 if alone else scale * (STRIP + CODES + 1)
    boxes = _layout(aspects, width, bottom - BAND - CODES - GAP - top, below, GAP * scale, columns)
    band = min(bottom - CODES - GAP - top - max(y + h + below for _, y, _, _, h in boxes), MOST)
    top += (bottom - band - CODES - GAP - top - max(y + h + below for _, y, _, _, h in boxes)) / 2
    palettes = [palette(picture, 6 if alone else 5) for picture in pictures]
    common = (
        palettes[0] if alone else palette(np.concatenate(palettes)[None], 6)
    )  # each colour counts alike, however small
    _draw_palette(axes, common, MARGIN, bottom - band - CODES, width, band, 9)
    placed = []
    for picture, colors, (x, y, card, w, h) in zip(pictures, palettes, boxes, strict=True):
        x, y = MARGIN + x, top + y
        pixels = max(1, round(w / 25.4 * DPI)), max(1, round(h / 25.4 * DPI))
        image = to_pil(picture).resize(pixels, Image.Resampling.LANCZOS)
        left = x + (card - w) / 2
        axes.imshow(image, extent=(left, left + w, y + h, y), aspect="auto", interpolation="none")
        placed.append((left, y, w, h))
        if not alone:
            _draw_palette(axes, colors, x, y + h + scale, card, STRIP * scale, 6 * scale)
    axes.set(xlim=(0, PAGE[0]), ylim=(PAGE[1], 0))
    return placed


def _draw_palette(axes: Any, colors: np.ndarray, x: float, y: float, width: float, height: float, size: float) -> None:
    """Swatches side by side with their codes below, in at most `size` points."""
    from matplotlib.patches import Rectangle

    each = width / len(colors)
    size = min(size, each / 5.2 / POINT)
    for i, color in enumerate(colors):
        axes.add_patch(Rectangle((x + i * each, y), each, height, facecolor=color, edgecolor="none", linewidth=0))
        axes.text(x + i * each, y + height + 0.1 * size, hex_code(color), fontsize=size, color=GREY, va="top")


def _layout(
    aspects: list[float], width: float, height: float, below: float, gap: float, columns: int | None
) -> list[tuple[float, float, float, float, float]]:
    """Justified rows of pictures with room `below` each: left, top, width of the card, width and height of the picture."""
    cuts = [[*range(0, len(aspects), columns), len(aspects)]] if columns else _breaks(aspects)
    arranged = []
    for cut in cuts:
        rows = [aspects[start:end] for start, end in pairwise(cut)]
        room = height - len(rows) * below - (len(rows) - 1) * gap
        share, heights = _fit_rows(rows, width, room, gap, short=len(rows[-1]) < (columns or 0))
        area = sum(h * h * sum(row) for row, h in zip(rows, heights, strict=True))
        arranged.append((area * share**2, rows, heights))  # large pictures, and rows as wide as the page
    best, rows, heights = max(arranged)
    if not best:
        raise SettingsError(f"{len(aspects)} pictures in rows of {columns} do not fit on the page: give more columns.")
    boxes, y = [], 0.0
    for row, h in zip(rows, heights, strict=True):
        cards = [max(aspect * h, LEAST_WIDTH) for aspect in row]
        x = (width - sum(cards) - gap * (len(row) - 1)) / 2
        for aspect, card in zip(row, cards, strict=True):
            boxes.append((x, y, card, aspect * h, h))
            x += card + gap
        y += h + below + gap
    return boxes


def _breaks(aspects: list[float]) -> list[list[int]]:
    """Where to break into one row, two, and so on, so that rows are as equally high as can be: [0, ..., n] each."""
    ends = [0.0, *accumulate(max(aspect, 0.4) for aspect in aspects)]

    @cache
    def best(start: int, rows: int) -> tuple[float, tuple[int, ...]]:
        if rows == 1:
            return (ends[-1] - ends[start]) ** 2, (len(aspects),)
        rest = ((end, best(end, rows - 1)) for end in range(start + 1, len(aspects) - rows + 2))
        return min(((ends[end] - ends[start]) ** 2 + cost, (end, *cuts)) for end, (cost, cuts) in rest)

    return [[0, *best(0, rows)[1]] for rows in range(1, len(aspects) + 1)]


def _fit_rows(rows: list[list[float]], width: float, room: float, gap: float, short: bool) -> tuple[float, list[float]]:
    """The share of the width that rows can have in so much height, and how high each is; the last one no higher than the
    others if it is `short` of pictures."""
    low, share, high = 0.0, 1.0, 1.0
    for _ in range(40):
        heights = [min(_row_height(row, share * width - gap * (len(row) - 1)), max(room, 0)) for row in rows]
        if short and len(heights) > 1:
            heights[-1] = min(heights[-1], max(heights[:-1]))
        if sum(heights) <= room and (share == 1 or high - low < 1e-4):
            break
        low, high = (share, high) if sum(heights) <= room else (low, share)
        share = (low + high) / 2
    return share, heights


def _row_height(row: list[float], width: float) -> float:
    """How high pictures of these aspects are, side by side in this width, each on a card of LEAST_WIDTH or more: 0 if they
    cannot be."""
    wide = row
    while wide:
        height = (width - LEAST_WIDTH * (len(row) - len(wide))) / sum(wide)
        still = [aspect for aspect in wide if aspect * height >= LEAST_WIDTH]
        if len(still) == len(wide):
            return height
        wide = still
    return 0.0
