"""The parts of the loss while a picture is painted: an SVG and a table, which take the kernel no time."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 480, 180, 44, 16, 8, 24  # of the drawing, and of its margins
# The colours of figures.py; the total has the page's own. The layers of the style share one, and differ in dashes.
CONTENT, STYLE, TOTAL = "#0072b2", "#d55e00", "currentColor"
CONTENT_DASHES, LAYER_DASHES = "5 2", ("9 2", "6 2 2 2", "3 2", "3 2 1 2", "1 2")
OTHER, OTHER_DASHES = "#009e73", "1 4"
MOST_POINTS = 150  # of a curve


def look(name: str, names: Sequence[str]) -> tuple[str, str]:
    """The colour and the dashes of a curve among those of these names: "loss", "content", layers, "smoothness"."""
    if name == "loss":
        return TOTAL, "none"
    if name == "content":
        return CONTENT, CONTENT_DASHES
    if name == "smoothness":
        return OTHER, OTHER_DASHES
    layers = [layer for layer in names if layer not in ("loss", "content", "smoothness")]
    return STYLE, LAYER_DASHES[layers.index(name) % len(LAYER_DASHES)]


def draw_curves(steps: Sequence[int], parts: Mapping[str, Sequence[float]], title: str = "") -> str:
    """HTML with the curves on a logarithmic axis, and their present values in a table that is the legend too.

    Args:
        steps: where the values are, ascending.
        parts: the values by name, of which those above 0 are drawn. Names: see `look`.
        title: a line above.
    """
    if not steps:
        return ""
    every = max(1, math.ceil(len(steps) / MOST_POINTS))
    chosen = sorted({*range(0, len(steps), every), len(steps) - 1})
    positive = [values[i] for values in parts.values() for i in chosen if values[i] > 0] or [1.0]
    low, high = math.log10(max(min(positive), max(positive) / 1e5)), math.log10(max(positive))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    x_scale = (WIDTH - LEFT - RIGHT) / max(steps[-1] - steps[0], 1)
    y_scale = (HEIGHT - TOP - BOTTOM) / (high - low)

    def place(i: int, value: float) -> str:
        x = LEFT + (steps[i] - steps[0]) * x_scale
        y = TOP + (high - math.log10(max(value, 10.0**low))) * y_scale
        return f"{x:.1f},{y:.1f}"

    lines = []
    for power in range(low, high + 1):
        y = TOP + (high - power) * y_scale
        lines.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.2"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for x, step, anchor in ((LEFT, steps[0], "start"), (WIDTH - RIGHT, steps[-1], "end")):
        lines.append(f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="{anchor}">{step}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">evaluations of the loss</text>')
    for name, values in parts.items():
        color, dashes = look(name, list(parts))
        points = " ".join(place(i, values[i]) for i in chosen if values[i] > 0)
        lines.append(f'<polyline points="{points}" {_stroke(color, dashes)}/>')
    now = {name: values[-1] for name, values in parts.items()}
    words = ", ".join(f"{name} {value:.3g}" for name, value in now.items())
    drawing = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="The parts of the loss by evaluation; now: '
        f'{escape(words)}" style="width: 100%; font-size: 11px" fill="currentColor">{"".join(lines)}</svg>'
    )
    rows = "".join(_row(name, value, list(parts)) for name, value in now.items())
    table = f"<table><caption>{escape(title)}</caption><tbody>{rows}</tbody></table>"
    return f'<div class="nst-curves">{drawing}{table}</div>'


def _row(name: str, value: float, names: Sequence[str]) -> str:
    sample = f'<path d="M0 6H40" {_stroke(*look(name, names))}/>'
    return (
        f'<tr><td><svg width="40" height="12" aria-hidden="true">{sample}</svg></td>'
        f'<th scope="row">{escape(name)}</th><td>{value:.3g}</td></tr>'
    )


def _stroke(color: str, dashes: str) -> str:
    return f'fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"'
