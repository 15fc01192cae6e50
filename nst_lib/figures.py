"""Every matplotlib picture that the notebooks show, in one visual language.

Content is blue, style orange, their total dark grey, in every plot; the three differ in lightness and in their dashes too, so
they stay apart for colour-blind readers and on paper. The background is white whatever the theme, so that nothing vanishes in
dark mode. Each function returns an `IPython.display.Image`, which shows itself at the end of a cell and carries a description
for readers who cannot see it.
"""

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from IPython.display import Image
from matplotlib.figure import Figure

from nst_lib.errors import SettingsError, check_number
from nst_lib.images import check_picture

COLORS = {"content": "#0072b2", "style": "#d55e00", "total": "#333333"}  # the first two: Okabe and Ito 2008
DASHES: dict[str, Any] = {"content": (0, (5, 2)), "style": (0, (1.5, 1.5)), "total": "solid"}
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
    figure = Figure(figsize=(right / DPI, bottom / DPI), dpi=DPI, facecolor="white")
    for picture, title, (left, top, w, h) in zip(pictures, titles, boxes, strict=True):
        axes = figure.add_axes((left / right, 1 - (top + h) / bottom, w / right, h / bottom))
        axes.imshow(picture, interpolation="lanczos", aspect="auto")
        axes.set_axis_off()
        fontsize = min(10, 1.25 * w / max(len(title), 1))  # long titles shrink, rather than run into their neighbour
        axes.set_title(title, fontsize=fontsize, color=COLORS["total"], loc="left", pad=6)
    return _image(figure, "jpeg", alt or "Pictures: " + "; ".join(filter(None, titles)))


def plot_losses(
    states: Sequence[Any], *, content_weight: float = 1.0, style_weight: float = 1.0, alt: str | None = None
) -> Image:
    """Plot a run's loss by step, with its two parts as they were weighted, on a logarithmic axis.

    Args:
        states: the PaintStates that `paint` yielded. A thin line marks where the picture grew to its next size.
        content_weight, style_weight: those of the run, so that the parts add up to the total (less total variation).
        alt: what a screen reader says; by default the first and last values.

    Raises:
        SettingsError: for no states.
    """
    if not states:
        raise SettingsError("no states to plot: pass the list of what nst_lib.paint yields.")
    from nst_lib.losses import STYLE_GAIN  # here, because it starts the engine, which pictures alone do not need

    steps = [state.step for state in states]
    curves = {
        "total": [state.loss for state in states],
        "content": [content_weight * state.content for state in states],
        "style": [style_weight * STYLE_GAIN * float(np.mean(list(state.style.values()))) for state in states],
    }
    names = {"total": "total", "content": "content", "style": f"{STYLE_GAIN:g} × style"}
    figure = Figure(figsize=(7.2, 3.6), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.plot(steps, values, color=COLORS[name], linestyle=DASHES[name], linewidth=2.2, label=names[name])
    for before, after in pairwise(states):
        if before.size != after.size:
            axes.axvline(after.step, color="#999999", linewidth=0.8)
    ends = [values[-1] for values in curves.values() if values[-1] > 0]
    axes.set(xlabel="step", ylabel="loss (logarithmic)", yscale="log", facecolor="white")
    axes.set_ylim(bottom=min(ends, default=1) / 3)  # content begins at almost nothing, which is not worth four decades
    axes.yaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.legend(frameon=False, labelcolor="linecolor", handlelength=3)
    changes = ", ".join(f"{names[name]} from {values[0]:.2g} to {values[-1]:.2g}" for name, values in curves.items())
    return _image(figure, "png", alt or f"Loss over {steps[-1]} steps: {changes}.")


def _image(figure: Figure, kind: str, alt: str) -> Image:
    """A drawn figure as JPEG (photographs) or PNG (lines)."""
    encoded = io.BytesIO()
    figure.savefig(encoded, format=kind, pil_kwargs={"quality": 80} if kind == "jpeg" else None)
    return Image(data=encoded.getvalue(), format=kind, alt=alt)
