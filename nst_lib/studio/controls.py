"""What panels are operated with, drawn by controls.js: labelled, reached with the keyboard, and in the page's own colours.

The sliders of ipywidgets have no name that a screen reader could say, and its upload button takes no dropped files.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from nst_lib.errors import PictureError
from nst_lib.images import load_image, resize, to_pil

HERE = Path(__file__).parent
LARGEST = 100_000_000  # bytes of a file that is dropped
THUMBNAIL = 128  # pixels of the short side, at least: twice what the page shows, for fine screens


class Control(anywidget.AnyWidget):
    """A control of one of the kinds in controls.js."""

    # Texts, not paths: those anywidget watches for changes, and keeps every widget that was made of them.
    _esm = (HERE / "controls.js").read_text(encoding="utf-8")
    _css = (HERE / "controls.css").read_text(encoding="utf-8")
    kind = traitlets.Unicode().tag(sync=True)


class Knob(Control):
    """A labelled slider with a number box beside it.

    Args:
        label: what it sets.
        value: at the start.
        least, most: the range. What is assigned beyond it becomes its end.
        step: of the slider; by default a hundredth of the range.
        log: whether equal distances on the slider are equal ratios; `least` must be above 0.
        continuous: whether the value follows the slider while it is dragged, or only when it is let go.
    """

    kind = traitlets.Unicode("knob").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Float().tag(sync=True)
    least = traitlets.Float().tag(sync=True)
    most = traitlets.Float().tag(sync=True)
    step = traitlets.Float(None, allow_none=True).tag(sync=True)
    log = traitlets.Bool().tag(sync=True)
    continuous = traitlets.Bool(True).tag(sync=True)
    disabled = traitlets.Bool().tag(sync=True)

    def __init__(self, label: str, value: float, least: float, most: float, step: float | None = None,
                 log: bool = False, continuous: bool = True):  # fmt: skip
        if step is None and not log:
            step = (most - least) / 100
        super().__init__(label=label, least=least, most=most, value=value, step=step, log=log, continuous=continuous)

    @traitlets.observe("most")
    def _most_changed(self, _: Any) -> None:
        self.value = min(self.value, self.most)

    @traitlets.validate("value")
    def _inside(self, proposal: Any) -> float:
        return min(max(proposal["value"], self.least), self.most)


class Compare(Control):
    """Two pictures of the same shape, one above the other, with a divider between them that can be moved.

    Attributes:
        before, after: the pictures' files, as of `encode`. They may differ in size.
        position: of the divider: the percentage of the width in which `before` is seen.
        alt: what a screen reader says of `after`.
        names: of the two, for the reader.
    """

    kind = traitlets.Unicode("compare").tag(sync=True)
    before = traitlets.Bytes().tag(sync=True)
    after = traitlets.Bytes().tag(sync=True)
    position = traitlets.Int(0, min=0, max=100).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    names = traitlets.Tuple(("before", "after")).tag(sync=True)


class Snippet(Control):
    """Text to copy, such as a command, below a label."""

    kind = traitlets.Unicode("snippet").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)


class DropZone(Control):
    """A small picture with its name, which takes a file dropped on it, or chosen.

    Args:
        label: what the picture is for.
        on_file: called with a file's name and bytes.
        failed: called with the exception where that raises one, or where the file is too large, as Panel.show_error.

    Attributes:
        name: of the picture, for the reader; see `show`.
    """

    kind = traitlets.Unicode("dropzone").tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    thumbnail = traitlets.Bytes().tag(sync=True)
    uploads = traitlets.Int().tag(sync=True)  # how many have ended, well or not: the page then shows the name again
    largest = traitlets.Int().tag(sync=True)  # bytes: of a larger file, the page sends the first part alone

    def __init__(self, label: str, on_file: Callable[[str, bytes], None], failed: Callable[[Exception], None]):
        super().__init__(label=label, largest=LARGEST)
        self._on_file, self._failed = on_file, failed
        self._upload: float | None = None  # the one that is under way
        self._parts: list[bytes] = []  # of it, so far
        self.on_msg(self._receive)

    def show(self, name: str, picture: np.ndarray) -> None:
        """Show a picture (h, w, 3) in [0, 1], small, and its name."""
        scale = THUMBNAIL / min(picture.shape[:2])
        if scale < 1:
            height, width = picture.shape[:2]
            picture = resize(picture, (round(height * scale), round(width * scale)))
        self.thumbnail, self.name = encode(picture, quality=85), name

    def _receive(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """A part of a file from the browser. They come in order; every upload has a number of its own, and a newer one
        replaces one that has not ended.
        """
        if content["part"] == 0:
            self._upload, self._parts = content["upload"], []
        if content["upload"] != self._upload:  # replaced, or refused
            return
        self._parts.append(bytes(buffers[0]))
        name, sure = content["name"], (content["parts"] - 1) * len(self._parts[0])  # all parts but the last are equal
        if sure <= LARGEST and len(self._parts) < content["parts"]:
            return
        data = b"".join(self._parts)
        self._upload, self._parts = None, []
        try:
            _check_bytes(name, sure)
            self._on_file(name, data)
        except Exception as problem:
            self._failed(problem)
        finally:
            self.uploads += 1


def load_file(name: str, data: bytes, size: int | None = None) -> np.ndarray:
    """A picture (h, w, 3) from the bytes of a dropped file. Raises PictureError, with the file's name."""
    _check_bytes(name, len(data))
    try:
        return load_image(data, size)
    except PictureError as problem:
        raise PictureError(str(problem).replace("the file in the given bytes", name)) from problem


def _check_bytes(name: str, count: int) -> None:
    if count > LARGEST:
        raise PictureError(f"{name} has {count / 1e6:.0f} MB: give a picture of less than {LARGEST / 1e6:.0f} MB.")


def encode(picture: np.ndarray, kind: str = "JPEG", quality: int = 92) -> bytes:
    """A picture (h, w, 3) in [0, 1] as the bytes of a file; of a JPEG above 90, the colours are as sharp as the rest."""
    file = io.BytesIO()
    to_pil(picture).save(file, kind, quality=quality, subsampling="4:4:4" if quality > 90 else "4:2:0")
    return file.getvalue()
