"""Every matplotlib picture that the notebooks show, in one visual language.

Content is blue, style orange, their total dark grey, in every plot; the three differ in lightness and in their dashes too, so
they stay apart for colour-blind readers and on paper. The background is white whatever the theme, so that nothing vanishes in
dark mode. Each function returns an `IPython.display.Image`, which shows itself at the end of a cell and carries a description
(`alt`) for readers who cannot see it.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator
from PIL import Image as Pillow

from nst_lib.errors import SettingsError, check_number
from nst_lib.images import check_picture

COLORS = {"content": "#0072b2", "style": "#d55e00", "total": "#333333"}  # the first two: Okabe and Ito 2008
DASHES: dict[str, Any] = {"content": (0, (5, 2)), "style": (0, (1.5, 1.5)), "total": "solid"}
# For anything else: Okabe and Ito's other colours, from light to dark and back, each with dashes of its own.
OTHERS = ("#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#8c6d1f")
OTHER_DASHES: tuple[Any, ...] = (
    "solid",
    (0, (6, 1.5)),
    (0, (3, 1.5)),
    (0, (1, 1)),
    (0, (6, 1, 1, 1)),
    (0, (3, 1, 1, 1)),
)
DPI = 100
GAP, TITLE = 10, 26  # pixels between pictures, and for the line above one


def show_pictures(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    width: int = 780,
    max_height: int = 400,
    alt: str | None = None,
) -> Image:
    """Show pictures in rows, those of a row equally high.

    Args:
        pictures: (h, w, 3) each, in [0, 1], of any sizes.
        titles: a line above each.
        columns: pictures in a row; by default all of them.
        width: of the whole in pixels; `max_height`: of a row, which is then narrower.
        alt: what a screen reader says; by default the titles.

    Raises:
        PictureError: for arrays that are not pictures.
        SettingsError: for no pictures, another number of titles, or a layout that is not whole numbers.
    """
    pictures = [check_picture(picture) for picture in pictures]
    return _show(pictures, titles, columns, width, max_height, alt, {}, "jpeg")


def show_maps(
    maps: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int | None = None,
    width: int = 780,
    max_height: int = 400,
    signed: bool = False,
    limit: float | None = None,
    alt: str | None = None,
) -> Image:
    """Show maps of one number per position, such as a channel's activations, in rows.

    Args:
        maps: (h, w) each.
        signed: whether 0 is white, less is blue and more is orange; otherwise dark is little and bright is much.
        limit: the end of a scale common to all, which begins at 0, or at -limit if signed. By default each map has its own.
        titles, columns, width, max_height, alt: as in `show_pictures`.
    """
    maps = [np.asarray(values, "float32") for values in maps]
    scale: dict[str, Any] = {"cmap": "PuOr_r" if signed else "viridis", "interpolation": "nearest"}
    if limit is not None:
        scale |= {"vmin": -limit if signed else 0.0, "vmax": limit}
    if signed and limit is None:
        maps = [values / max(np.abs(values).max(), 1e-12) for values in maps]
        scale |= {"vmin": -1.0, "vmax": 1.0}
    return _show(maps, titles, columns, width, max_height, alt, scale, "jpeg")


def _show(
    pictures: list[np.ndarray],
    titles: Sequence[str] | None,
    columns: int | None,
    width: int,
    max_height: int,
    alt: str | None,
    scale: dict[str, Any],
    kind: str,
) -> Image:
    titles = [""] * len(pictures) if titles is None else list(titles)
    if not pictures or len(titles) != len(pictures):
        raise SettingsError(
            f"{len(pictures)} pictures and {len(titles)} titles: give a title for each, or none at all."
        )
    columns = len(pictures) if columns is None else columns
    check_number("columns", columns, whole=True, least=1)
    check_number("width", width, whole=True, least=100)
    headroom = TITLE if any(titles) else 0
    boxes: list[tuple[float, float, float, float]] = []  # left, top, width, height, in pixels from the top left corner
    bottom = 0.0
    for start in range(0, len(pictures), columns):
        aspects = [picture.shape[1] / picture.shape[0] for picture in pictures[start : start + columns]]
        height = min((width - GAP * (len(aspects) - 1)) / sum(aspects), max_height)
        top, left = bottom + (GAP if start else 0) + headroom, 0.0
        for aspect in aspects:
            boxes.append((left, top, height * aspect, height))
            left += height * aspect + GAP
        bottom = top + height
    right = max(left + w for left, _, w, _ in boxes)
    # Where one title is too long for its picture, all are smaller, rather than run into their neighbours.
    fontsize = min(10, *(1.25 * w / max(len(title), 1) for title, (_, _, w, _) in zip(titles, boxes, strict=True)))
    figure = Figure(figsize=(right / DPI, bottom / DPI), dpi=DPI, facecolor="white")
    for picture, title, (left, top, w, h) in zip(pictures, titles, boxes, strict=True):
        axes = figure.add_axes((left / right, 1 - (top + h) / bottom, w / right, h / bottom))
        axes.imshow(picture, aspect="auto", **({"interpolation": "lanczos"} | scale))
        axes.set_axis_off()
        axes.set_title(title, fontsize=fontsize, color=COLORS["total"], loc="left", pad=6)
    return finish(figure, alt or "Pictures: " + "; ".join(filter(None, titles)), kind)


def show_boxes(
    picture: np.ndarray,
    boxes: Sequence[tuple[float, float, float, float]],
    labels: Sequence[str] = (),
    *,
    width: int = 520,
    alt: str,
) -> Image:
    """Show a picture with squares drawn on it, such as receptive fields.

    Args:
        picture: (h, w, 3) in [0, 1].
        boxes: (left, top, width, height) in pixels of the picture; what lies outside is cut off.
        labels: for a legend, one for each box.
        width: of the whole in pixels.
        alt: what a screen reader says.
    """
    picture = check_picture(picture)
    height = width * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, interpolation="lanczos", aspect="auto", extent=(0, picture.shape[1], picture.shape[0], 0))
    for number, (left, top, w, h) in enumerate(boxes):
        color = OTHERS[number % len(OTHERS)]
        for edge, line in (("white", 4.5), (color, 2.2)):  # the white rim keeps it visible on anything
            axes.add_patch(Rectangle((left, top), w, h, fill=False, edgecolor=edge, linewidth=line))
        if number < len(labels):
            over = top * width / picture.shape[1] > 16  # pixels: room for the label above the box, which it would hide
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
            inside = 0 if over else 5 * picture.shape[1] / width
            axes.text(max(left, 0) + inside, max(top, 0) + inside, labels[number], color=color, fontsize=9,
                      fontweight="bold", bbox=box, va="bottom" if over else "top")  # fmt: skip
    axes.set(xlim=(0, picture.shape[1]), ylim=(picture.shape[0], 0))
    axes.set_axis_off()
    return finish(figure, alt, "jpeg")


def show_matrices(
    matrices: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    labels: Sequence[str] = (),
    column_labels: Sequence[str] | None = None,
    numbers: bool | None = None,
    width: int = 780,
    alt: str,
) -> Image:
    """Show matrices, such as Gram matrices, as heat maps on one scale: white is 0, orange positive, blue negative.

    Args:
        matrices: (n, m) each.
        titles: a line above each.
        labels: of the rows, and of the columns too unless these have
        column_labels: of their own.
        numbers: whether to print the values into the cells; by default for matrices of at most 6 x 6.
        width: of the whole in pixels, at most; a matrix is at most 300 wide.
        alt: what a screen reader says.
    """
    matrices = [np.asarray(matrix, "float64") for matrix in matrices]
    if not matrices:
        raise SettingsError("no matrices to show: pass at least one.")
    limit = max(np.abs(matrix).max() for matrix in matrices) or 1.0
    side = min(300, (width - 60) / len(matrices))
    figure = Figure(figsize=((side * len(matrices) + 60) / DPI, (side + 40) / DPI), dpi=DPI, facecolor="white",
                    layout="constrained")  # fmt: skip
    all_axes = np.atleast_1d(figure.subplots(1, len(matrices)))
    for axes, matrix, title in zip(all_axes, matrices, titles or [""] * len(matrices), strict=True):
        image = axes.imshow(matrix, cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(title, fontsize=10, color=COLORS["total"], loc="left")
        for axis, names in ((axes.xaxis, labels if column_labels is None else column_labels), (axes.yaxis, labels)):
            axis.set_ticks(range(len(names)), labels=names)
        if numbers or (numbers is None and max(matrix.shape) <= 6):
            for (row, column), value in np.ndenumerate(matrix):
                ink = "white" if abs(value) > 0.6 * limit else COLORS["total"]
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=ink, fontsize=9)
    bar = figure.colorbar(image, ax=all_axes.tolist(), shrink=0.9)
    if min(matrix.min() for matrix in matrices) >= 0:
        bar.ax.set_ylim(0, limit)
    return finish(figure, alt)


def plot_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    markers: bool = False,
    alt: str,
) -> Image:
    """Plot curves, each in its own colour and dashes; "content", "style" and "total" in theirs.

    Args:
        curves: (x, y) by name.
        xlabel, ylabel: what the axes are, with units.
        log: whether the axis of y is logarithmic.
        markers: whether to mark the points.
        alt: what a screen reader says.
    """
    figure, axes = _axes(xlabel, ylabel)
    others = iter(range(len(curves)))
    for name, (x, y) in curves.items():
        number = 0 if name in COLORS else next(others)
        color = COLORS.get(name, OTHERS[number % len(OTHERS)])
        dashes = DASHES.get(name, OTHER_DASHES[number % len(OTHER_DASHES)])
        axes.plot(x, y, color=color, linestyle=dashes, linewidth=2.2, label=name, marker="o" if markers else None)
    if all(np.equal(np.mod(x, 1), 0).all() for x, _ in curves.values()):  # steps, calls: there is no half of one
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    if log:
        _log_scale(axes)
    if len(curves) > 1:
        axes.legend(frameon=False, handlelength=3)
    return finish(figure, alt)


def plot_bars(
    bars: Mapping[str, Sequence[float]], names: Sequence[str], *, ylabel: str, log: bool = False, alt: str
) -> Image:
    """Plot groups of bars side by side.

    Args:
        bars: the heights by the name of the series, one height for each of
        names: the groups', below the axis.
        ylabel: what the heights are, with units.
        log: whether their axis is logarithmic.
        alt: what a screen reader says.
    """
    figure, axes = _axes("", ylabel)
    others = iter(range(len(bars)))
    thickness = 0.8 / len(bars)
    for place, (name, heights) in enumerate(bars.items()):
        color = COLORS[name] if name in COLORS else OTHERS[next(others) % len(OTHERS)]
        left = np.arange(len(names)) + (place - (len(bars) - 1) / 2) * thickness
        axes.bar(left, heights, 0.92 * thickness, color=color, label=name)
    axes.set_xticks(range(len(names)), labels=names)
    if log:
        _log_scale(axes)
    if len(bars) > 1:
        axes.legend(frameon=False)
    return finish(figure, alt)


def film(pictures: Sequence[np.ndarray], *, milliseconds: int = 120, colors: int = 64, alt: str) -> Image:
    """An animated GIF that stays on its last picture for two seconds, and starts again.

    Args:
        pictures: (h, w, 3) each, in [0, 1], all of one shape. A dozen or two of at most 192 pixels stay below 300 KB.
        milliseconds: for which each is seen.
        colors: in the palette: fewer make a smaller file.
        alt: what a screen reader says.
    """
    frames = [Pillow.fromarray((check_picture(picture) * 255 + 0.5).astype("uint8")) for picture in pictures]
    if not frames:
        raise SettingsError("no pictures for a film: pass at least one.")
    some = np.concatenate([np.asarray(frame) for frame in frames[:: max(1, len(frames) // 4)] + frames[-1:]])
    palette = Pillow.fromarray(some).quantize(colors)
    first, *rest = [frame.quantize(palette=palette, dither=Pillow.Dither.NONE) for frame in frames]
    encoded, waits = io.BytesIO(), [milliseconds] * (len(frames) - 1) + [2000]
    first.save(encoded, "GIF", save_all=True, append_images=rest, duration=waits, loop=0, optimize=True)
    return Image(data=encoded.getvalue(), format="gif", alt=alt)


def finish(figure: Figure, alt: str, kind: str = "png") -> Image:
    """A drawn figure with its description, as PNG of 96 colours (for lines) or JPEG (for photographs)."""
    encoded = io.BytesIO()
    figure.savefig(encoded, format=kind, pil_kwargs={"quality": 74, "optimize": True} if kind == "jpeg" else None)
    if kind == "png":
        drawn = Pillow.open(encoded).convert("RGB").quantize(96, dither=Pillow.Dither.NONE)
        encoded = io.BytesIO()
        drawn.save(encoded, "PNG", optimize=True)
    return Image(data=encoded.getvalue(), format=kind, alt=alt)


def _log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 100 * low:  # hardly a power of ten in it, or none
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _axes(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 3.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel, facecolor="white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def plot_losses(states: Sequence[Any], *, alt: str | None = None) -> Image:
    """Plot a run's loss by step, with what content and style add to it, on a logarithmic axis.

    Args:
        states: the PaintStates that `paint` yielded. A thin line marks where the picture grew to its next size.
        alt: what a screen reader says; by default the first and last values.

    Raises:
        SettingsError: for no states.
    """
    if not states:
        raise SettingsError("no states to plot: pass the list of what nst_lib.paint yields.")
    steps = [state.step for state in states]
    curves = {
        "total": [state.loss for state in states],
        "content": [state.contributions["content"] for state in states],
        "style": [sum(state.contributions[layer] for layer in state.style) for state in states],
    }
    figure, axes = _axes("step", "loss (logarithmic)")
    for name, values in curves.items():
        axes.plot(steps, values, color=COLORS[name], linestyle=DASHES[name], linewidth=2.2, label=name)
    for before, after in pairwise(states):
        if before.size != after.size:
            axes.axvline(after.step, color="#999999", linewidth=0.8)
    ends = [values[-1] for values in curves.values() if values[-1] > 0]
    _log_scale(axes)
    axes.set_ylim(bottom=min(ends, default=1) / 3)  # content begins at almost nothing, which is not worth four decades
    axes.legend(frameon=False, labelcolor="linecolor", handlelength=3)
    changes = ", ".join(f"{name} from {values[0]:.2g} to {values[-1]:.2g}" for name, values in curves.items())
    return finish(figure, alt or f"Loss over {steps[-1]} steps: {changes}.")
