"""A knob for each style, and how much of it: what `fast_studio` and `webcam_studio` have in common."""

import base64
import contextlib
import os
from collections.abc import Iterator, Mapping
from html import escape

import ipywidgets as widgets
import numpy as np
import traitlets

from nst_lib.fast.running import make_runner
from nst_lib.fast.styles import Style, StyleFile, shipped_styles
from nst_lib.studio.controls import Knob, encode

THUMBNAIL = 36  # pixels on the page, the side of a painting's piece
NO_STYLE = "All styles are at 0: what was painted before goes on."
ROW = {"align_items": "center", "max_width": "38em"}


def load_blend(
    style: str | Mapping[str, float] | None = None, file: str | os.PathLike | None = None, frames: bool = False
) -> Style:
    """What a panel paints in, run in a way that suits a processor shared with a browser.

    Args:
        style: the name of a style, or the shares of several by name; by default the file's first style.
        file: a style file that `nst train` made; by default the shipped one.
        frames: whether it is to paint many pictures of one size; see `load_style`.

    Raises:
        StyleError: if the file is missing, damaged or of another version.
        SettingsError: for an unknown name, or shares that do not fit.
    """
    known = shipped_styles() if file is None else StyleFile.load(file)
    style = next(iter(known.styles)) if style is None else style
    shares = {style: 1.0} if isinstance(style, str) else style
    return Style(known, shares, make_runner(known.weights, alone=False, frames=frames))


class Blend(widgets.VBox):
    """The styles of a file, each with a piece of its painting, a knob, and a button that leaves it alone on the canvas.

    Attributes:
        shares: those above 0, by the style's name, as `Style.blend` takes them. Assign some to turn the knobs.
        knobs: by the style's name.
    """

    shares = traitlets.Dict()

    def __init__(self, style: Style):
        self.knobs = {name: Knob(name, float(style.shares.get(name, 0)), 0, 1) for name in style.file.styles}
        self._turning = False
        super().__init__([self._row(name, style.file.thumbnails.get(name)) for name in self.knobs])
        self.shares = dict(style.shares)
        for knob in self.knobs.values():
            knob.observe(self._knob_turned, "value")
        self.observe(self._shares_assigned, "shares")

    def _row(self, name: str, thumbnail: np.ndarray | None) -> widgets.HBox:
        only = widgets.Button(description="only", tooltip=f"{name}, and nothing else", layout={"flex": "0 0 4em"})
        only.on_click(lambda _: setattr(self, "shares", {name: 1.0}))
        picture = widgets.HTML(_as_html(thumbnail), layout={"flex": f"0 0 {THUMBNAIL + 4}px"})
        return widgets.HBox([picture, self.knobs[name], only], layout=ROW)

    def _knob_turned(self, _: object) -> None:
        if not self._turning:
            with self._several_at_once():
                self.shares = {name: knob.value for name, knob in self.knobs.items() if knob.value > 0}

    def _shares_assigned(self, _: object) -> None:
        if not self._turning:
            with self._several_at_once():
                for name, knob in self.knobs.items():
                    knob.value = self.shares.get(name, 0.0)

    @contextlib.contextmanager
    def _several_at_once(self) -> Iterator[None]:
        self._turning = True
        try:
            yield
        finally:
            self._turning = False


def in_line(knob: Knob) -> widgets.HBox:
    """Another knob, in line with those of a Blend above it."""
    widths = f"{THUMBNAIL + 4}px", "4em"
    left, right = (widgets.Box(layout={"flex": f"0 0 {width}", "margin": "2px"}) for width in widths)
    return widgets.HBox([left, knob, right], layout=ROW)


def _as_html(thumbnail: np.ndarray | None) -> str:
    """A piece of a painting (96, 96, 3) uint8. Its name stands beside it, so it needs no words of its own."""
    if thumbnail is None:
        return ""
    data = base64.b64encode(encode(thumbnail[::2, ::2] / np.float32(255), quality=85)).decode()
    style = f"width: {THUMBNAIL}px; height: {THUMBNAIL}px; border-radius: 4px; display: block"
    return f'<img alt="" src="data:image/jpeg;base64,{escape(data)}" style="{style}">'
