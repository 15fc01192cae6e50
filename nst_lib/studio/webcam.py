"""`webcam_studio`: the browser's camera, painted live.

The browser has the camera, and the kernel the network: each frame goes to the kernel as a JPEG, and comes back painted.
webcam.js takes the frames and shows the paintings, one at a time.
"""

import io
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image

from nst_lib.errors import NSTError, VideoError
from nst_lib.fast.styles import Style
from nst_lib.fast.video import Steadier, add_h264, encode_colors, import_package
from nst_lib.files import atomic_path, free_path
from nst_lib.images import load_image, save_image
from nst_lib.studio.blending import NO_STYLE, Blend, in_line, load_blend
from nst_lib.studio.controls import Knob, encode
from nst_lib.studio.panels import HEAD_START, Panel, Worker, output_folder

HERE = Path(__file__).parent
CLIP = 10.0  # seconds
QUALITY = 85  # of the JPEGs that go back


class Camera(anywidget.AnyWidget):
    """The browser's side of the panel; see webcam.js.

    Attributes:
        size: of the frames, "640x480", "480x360" or "320x240".
        counters: of the last view that painted, once a second: `frames` painted and `seen`, `seconds`, `fps` since it was
            started and `recent`ly, the percentiles `p50` and `p95` of the milliseconds from taking a frame from the camera to
            its painting on the screen, and `kernel`, the median of those that the kernel took of them.
        said: the last line that the reader was shown.
    """

    _esm = (HERE / "webcam.js").read_text(encoding="utf-8")  # see `Control`
    _css = (HERE / "webcam.css").read_text(encoding="utf-8")
    size = traitlets.Unicode("640x480").tag(sync=True)
    counters = traitlets.Dict().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)


@dataclass
class _View:
    """What the kernel knows of one view of a panel: a notebook may show the same panel twice.

    Attributes:
        name: which it is, for messages to it.
        waiting: number and JPEG of the frame to be painted next.
        steadier: paints its frames, if they are to be steadied.
        picture: the last painting.
        clip: the film that is being recorded: the seconds since its first frame, and the JPEG, of each.
    """

    name: str
    waiting: tuple[int, bytes] | None = None
    steadier: Steadier | None = None
    picture: np.ndarray | None = None
    clip: list[tuple[float, bytes]] | None = None
    began: float = field(default=0.0)


class WebcamStudio(Panel):
    """The browser's camera, painted live; made by `webcam_studio`.

    Attributes:
        camera: a Camera: the picture, its buttons, its counters.
        blend: a knob for each style.
        strength, steady: Knobs, see `Style` and `Steadier`.
        style: what is being painted in.
        saver: a Worker that writes films.
    """

    def __init__(self, style: Style):
        self.style = style
        self.camera = Camera()
        self.blend = Blend(style)
        self.strength = Knob("strength", 1.0, 0, 1)
        self.steady = Knob("steady", 0.0, 0, 1)
        self._lock, self._views = threading.Lock(), dict[str, _View]()
        super().__init__()
        self.saver = Worker(self.show_error, every=True)
        knobs = widgets.VBox([self.blend, in_line(self.strength), in_line(self.steady)], layout={"flex": "1 1 340px"})
        row = widgets.Box([self.camera, knobs], layout={"flex_flow": "row wrap", "grid_gap": "8px 24px"})
        self.children = [row, self.message]
        self.camera.on_msg(self._receive)
        self.blend.observe(self._blended, "shares")

    def close(self) -> None:
        """Also keep the films that are being recorded, and wait until they are written. The browser releases the camera."""
        for name in list(self._views):
            self._end(name)
        self.saver.finish()
        super().close()

    def _blended(self, change: Any) -> None:
        if not change.new:
            self.say(NO_STYLE)
            return
        self.style = self.style.blend(change.new)
        self.say("")

    def _receive(self, _: Any, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        """A message from the browser. The kernel calls this between cells, or beside them, so it must not take long."""
        name, kind = content["view"], content["kind"]
        if kind == "stop":
            self._end(name)
            return
        with self._lock:
            view = self._views.setdefault(name, _View(name))
        if kind == "frame":
            with self._lock:
                view.waiting = content["id"], bytes(buffers[0])
            self.worker.run(self._paint, HEAD_START)
        elif kind == "snapshot":
            self._save_snapshot(view)
        elif kind == "clip" and view.clip is None:
            view.clip = []
            self.camera.send({"kind": "recording", "view": name, "seconds": CLIP})

    def _next(self) -> tuple[_View, int, bytes] | None:
        """A frame that waits, if there is one."""
        with self._lock:
            for view in self._views.values():
                if view.waiting is not None:
                    frame, view.waiting = view.waiting, None
                    return view, *frame
        return None

    def _paint(self, cancelled: threading.Event) -> None:
        """Paint what waits, view by view, until nothing does, or a newer job takes the rest over."""
        failure: Exception | None = None
        while not cancelled.is_set() and (found := self._next()):
            view, number, jpeg = found
            began = time.perf_counter()
            try:
                view.picture = self._painted(view, load_image(jpeg))
                painted = encode(view.picture, quality=QUALITY)
            except Exception as problem:  # the other views go on
                failure = problem
                self.camera.send({"kind": "failed", "view": view.name})
                continue
            milliseconds = 1000 * (time.perf_counter() - began)
            self.camera.send(
                {"kind": "painted", "view": view.name, "id": number, "milliseconds": milliseconds}, [painted]
            )
            self._record(view, painted)
        if failure is not None:
            raise failure

    def _painted(self, view: _View, frame: np.ndarray) -> np.ndarray:
        steady, strength = self.steady.value, self.strength.value
        if not steady:
            view.steadier = None
            return self.style(frame, strength)
        if view.steadier is None or view.steadier.steady != steady:
            view.steadier = Steadier(self.style, steady, strength)
        view.steadier.style, view.steadier.strength = self.style, strength
        return view.steadier(frame)

    def _save_snapshot(self, view: _View) -> None:
        if view.picture is not None:
            try:
                self.say(f"Saved {save_image(view.picture, free_path(output_folder() / 'webcam.png'))}")
            except NSTError as problem:
                self.show_error(problem)

    def _record(self, view: _View, jpeg: bytes) -> None:
        now = time.perf_counter()
        with self._lock:
            if view.clip is None:
                return
            view.began = view.began if view.clip else now
            view.clip.append((now - view.began, jpeg))
        if now - view.began >= CLIP:
            self._save_clip(view)

    def _save_clip(self, view: _View) -> None:
        with self._lock:
            frames, view.clip = view.clip, None
        if not frames:
            return
        self.camera.send({"kind": "recording", "view": view.name, "seconds": 0})

        def write(_: threading.Event) -> None:
            path = save_clip(frames, free_path(output_folder() / "webcam.mp4"))
            self.say(f"Saved {path}: {len(frames)} frames in {frames[-1][0]:.1f} seconds")

        self.say("Writing the film ...")
        self.saver.run(write)

    def _end(self, name: str) -> None:
        with self._lock:
            view = self._views.pop(name, None)
        if view is not None:
            self._save_clip(view)


def webcam_studio(
    style: str | Mapping[str, float] | None = None, *, file: str | os.PathLike | None = None
) -> WebcamStudio:
    """Paint what the browser's camera sees, live; at the end of a cell, the panel shows itself.

    Nothing is recorded unless *Record* or *Snapshot* is pressed; these write into the course's folder `out`, or the
    working directory.

    Args:
        style, file: what it begins with, and whose styles there are; see `load_blend`.

    Raises:
        SettingsError, StyleError: as `load_blend`.
    """
    return WebcamStudio(load_blend(style, file, frames=True))


def save_clip(frames: Sequence[tuple[float, bytes]], path: Path) -> Path:
    """Write pictures, the seconds since the first one and the JPEG of each, as an H.264 film; return its path.

    Raises VideoError if it cannot be written, SettingsError if PyAV is not installed.
    """
    av = import_package("av", "av")
    size = Image.open(io.BytesIO(frames[0][1])).size
    try:
        with atomic_path(path, VideoError) as unfinished, av.open(str(unfinished), "w") as film:
            stream = add_h264(film, size[1], size[0], 30, Fraction(1, 1000))
            for seconds, jpeg in frames:
                frame = encode_colors(av.VideoFrame.from_image(Image.open(io.BytesIO(jpeg)).resize(size)))
                frame.pts, frame.time_base = round(1000 * seconds), Fraction(1, 1000)
                film.mux(stream.encode(frame))
            film.mux(stream.encode(None))
    except av.error.FFmpegError as problem:
        raise VideoError(f"cannot write {path}: {problem.strerror or problem}. Is there space?") from problem
    return path
