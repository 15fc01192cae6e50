"""`style_studio`: a picture that is painted while its sliders are moved.

A worker paints, a step at a time. Before each step it looks at the knobs: weights are assigned to the Painting that runs,
and what needs new targets (size, scale, colours, another painting) goes on in a new Painting from the picture as it is.
"""

import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from nst_lib.backbones import STYLE_LAYERS
from nst_lib.errors import NSTError
from nst_lib.files import free_path
from nst_lib.images import save_image
from nst_lib.painting import STEPS, Painting, PaintState
from nst_lib.studio.controls import Compare, DropZone, Knob, Snippet, encode
from nst_lib.studio.curves import draw_curves
from nst_lib.studio.history import History
from nst_lib.studio.panels import Panel, output_path
from nst_lib.studio.recipes import paint_recipes
from nst_lib.studio.sources import Source, dropped, find_source
from nst_lib.subject import resize_painting

WEIGHTS = ("content_weight", "style_weight", "tv_weight", "style_layer_weights")
COLORS = {"the painting's": "style", "the photograph's, kept": "luminance", "the photograph's, mixed": "content",
          "the photograph's, matched": "match"}  # fmt: skip
NETWORKS = {"pocket": "pocket VGG", "vgg19": "VGG19"}
STARTS = {"the photograph": "content", "noise": "noise"}
SETTLE = 4  # steps between two turns of a knob that are heeded: each makes the optimiser begin anew
# Seconds between two pictures, at least: when a knob has been turned, and later, when they hardly change any more. Between
# the two it is a twelfth of the time since then. A picture shown is a step not taken: the browser wants the processor too.
# The curves wait for LATER_FRAME always: the page is laid out anew for them.
FRAME, LATER_FRAME = 0.1, 0.5


@dataclass(frozen=True)
class _Stand:
    """What a change can be undone to: the knobs, the sources, the picture, the network that paints it, and its curves."""

    values: dict[str, Any]
    sources: tuple[Source, Source]
    picture: np.ndarray | None
    backbone: str
    history: list[tuple[int, PaintState]]
    done: int


class StyleStudio(Panel):
    """A picture that is painted while its sliders are moved; made by `style_studio`.

    Attributes:
        knobs: controls by the name of what they set, as `Painting` calls it; the layers' by the layer.
        content, style: the Sources; content_zone, style_zone: where others can be dropped.
        buttons: "run", "pause", "cancel", "undo", "save" and "finish".
        state: "idle", "running", "paused" or "finished". Turning a knob steers what runs, and wakes what has finished.
        picture: as it was last shown, (h, w, 3) in [0, 1]; None before the first run.
        history: the steps and PaintStates shown since the last start.
    """

    state = traitlets.Enum(("idle", "running", "paused", "finished"), "idle")

    def __init__(self, content: Source, style: Source, size: int, steps: int):
        self.content, self.style = content, style
        self.picture: np.ndarray | None = None
        self.history: list[tuple[int, PaintState]] = []
        self._painting: Painting | None = None
        self._targets: tuple[Any, ...] = ()  # of that painting
        self._backbone = "pocket"
        self._lock = threading.RLock()
        self._left = self._done = self._heeded = 0  # steps: still to come, since the start, when knobs were last heeded
        self._former, self._restoring = History[_Stand](), False
        self._drawn_at = -LATER_FRAME
        self._starting = False  # whether the reader waits for the first picture of a size
        self._make_controls(size, steps)
        super().__init__()
        self._lay_out()
        self._take(content, style, *self._load(content, style, self.knobs["size"].value))
        for name, knob in self.knobs.items():
            knob.observe(partial(self._turned, name), "value")
        self.observe(lambda _: self._show_state(), "state")
        self._show_state()
        self.say("Press Run. Sliders steer the picture while it is painted.")
        self.worker.run(self._warm_up)

    def _make_controls(self, size: int, steps: int) -> None:
        labels = ("block 1: finest", "block 2", "block 3", "block 4", "block 5: largest")
        wide = {"style": {"description_width": "9.4em"}, "layout": {"width": "100%", "max_width": "32em"}}
        self.knobs: dict[str, Any] = {
            "content_weight": Knob("content", 1.0, 0.01, 100, log=True),
            "style_weight": Knob("style", 1.0, 0.01, 100, log=True),
            "tv_weight": Knob("smoothness", 0.5, 0.01, 100, log=True),
            **{layer: Knob(label, 1.0, 0, 3, 0.05) for layer, label in zip(STYLE_LAYERS, labels, strict=True)},
            "size": Knob("long side, pixels", size, 64, 768, 64, continuous=False),
            "style_scale": Knob("painting's scale", 1.0, 0.5, 3, 0.05, continuous=False),
            "steps": Knob("steps", steps, 10, 500, 10, continuous=False),
            "color": widgets.Dropdown(options=COLORS, description="colours", **wide),
            "init": widgets.Dropdown(options=STARTS, description="start from", **wide),
        }
        content, style = (partial(self._dropped, kind) for kind in ("content", "style"))
        self.content_zone = DropZone("photograph", content, self.show_error)
        self.style_zone = DropZone("painting", style, self.show_error)
        for zone in (self.content_zone, self.style_zone):
            zone.layout = {"flex": "1 1 300px", "width": "auto"}
        self.view = Compare(names=("photograph", "painting"))
        self.curves = widgets.HTML()
        self.command, self.call = (
            Snippet(label="From the start, in a terminal"),
            Snippet(label="From the start, in Python"),
        )
        actions = {
            "run": ("Run", "paint from the start", self.run),
            "pause": ("Pause", "stop for a while, and go on later", self.pause),
            "cancel": ("Cancel", "stop; the picture stays as it is", self.cancel),
            "undo": ("Undo", "go back to the knobs and the picture before the last change", self.undo),
            "save": ("Save", "write the picture into a file", self.save),
            "finish": ("Finish with VGG19", "go on with the large network, slowly", self.finish),
        }
        self.buttons = {
            name: widgets.Button(description=text, tooltip=tip, layout={"width": "auto"})
            for name, (text, tip, _) in actions.items()
        }
        self.buttons["run"].button_style = "primary"
        for name, (_, _, action) in actions.items():
            self.buttons[name].on_click(lambda _, action=action: action())

    def _lay_out(self) -> None:
        def group(title: str, names: tuple[str, ...]) -> widgets.VBox:
            return widgets.VBox([widgets.HTML(f"<h4>{title}</h4>"), *(self.knobs[name] for name in names)])

        column, wrap = {"flex": "1 1 320px", "max_width": "512px"}, {"flex_flow": "row wrap", "grid_gap": "6px 24px"}
        bar = widgets.Box(list(self.buttons.values()), layout={"flex_flow": "row wrap"})
        left = widgets.VBox([self.view, bar, self.message, self.curves], layout=column)
        right = widgets.VBox(
            [
                group("The bargain", ("content_weight", "style_weight", "tv_weight")),
                group("The style, by the size of its forms", STYLE_LAYERS),
                group("The picture", ("size", "style_scale", "color", "init", "steps")),
            ],
            layout=column,
        )
        self.children = [
            widgets.Box([self.content_zone, self.style_zone], layout=wrap),
            widgets.Box([left, right], layout=wrap),
            self.command,
            self.call,
        ]

    @property
    def settings(self) -> dict[str, Any]:
        """What `Painting` is to be given, as the knobs stand."""
        values = self._values()
        layers = {layer: values.pop(layer) for layer in STYLE_LAYERS}
        whole = {name: int(values[name]) for name in ("size", "steps")}
        return values | whole | {"style_layer_weights": layers, "backbone": self._backbone}

    def _values(self) -> dict[str, Any]:
        return {name: knob.value for name, knob in self.knobs.items()}

    def _now(self) -> _Stand:
        return _Stand(self._values(), (self.content, self.style), self.picture, self._backbone, list(self.history),
                      self._done)  # fmt: skip

    # What the buttons do.

    def run(self) -> None:
        """Paint from the start, whatever runs."""
        self._former.remember(self._now())
        self.worker.cancel()
        with self._lock:
            self._painting, self.picture, self._backbone = None, None, "pocket"
            self.history, self._done, self._left = [], 0, self.settings["steps"]
            self.state = "running"
        self._describe()
        self.worker.run(self._paint)

    def pause(self) -> None:
        """Stop for a while; or go on."""
        if self.state == "running":
            self.worker.cancel()
            self.state = "paused"
            self.say("Paused.")
        elif self.state == "paused":
            with self._lock:
                self._left = max(self._left, self.settings["steps"] if self._painting is None else 1)
                self.state = "running"
            self.say("Painting ...")
            self.worker.run(self._paint)

    def cancel(self) -> None:
        """Stop. The picture stays as it is."""
        self.worker.cancel()
        self.state = "idle"
        self.say("Stopped. Run paints from the start.")

    def undo(self) -> None:
        """Go back to the knobs, the pictures and the painting before the last change, and stop there."""
        if not self._former.stands:
            return
        stand = self._former.stands[-1]
        try:
            shown = self._load(*stand.sources, stand.values["size"])
        except NSTError as problem:  # its file has gone meanwhile
            self.show_error(problem)
            return
        self.worker.cancel()
        with self._lock:
            self._former.forget()
            self._backbone, self._restoring = stand.backbone, True
            try:
                for name, value in stand.values.items():
                    self.knobs[name].value = value
            finally:
                self._restoring = False
            self._take(*stand.sources, *shown)
            self._painting, self.picture = None, stand.picture
            self.view.after = b"" if stand.picture is None else encode(stand.picture)
            self.history, self._done = list(stand.history), stand.done
            self._draw()
            self.state = "idle" if stand.picture is None else "paused"
        self._show_state()
        self.say("Undone.")

    def save(self) -> None:
        """Write the picture that is shown into a file of its own, and pictures that are in no file yet beside it."""
        if self.picture is None:
            self.say("There is no picture to save yet.")
            return
        try:
            for source in (self.content, self.style):
                if not source.on_disk:
                    source.write()
                    self._describe()
            path = save_image(self.picture, free_path(self._output))
        except NSTError as problem:
            self.show_error(problem)
            return
        self._describe()  # its commands must not replace what was saved
        self.say(f"Saved {path}: {self.picture.shape[1]} x {self.picture.shape[0]} pixels.")

    def finish(self) -> None:
        """Go on from the picture with VGG19, which is on this machine if it has been fetched."""
        self._former.remember(self._now())
        with self._lock:
            self._painting, self._backbone = None, "vgg19"
            self._left, self.state = self.settings["steps"], "running"
        self._describe()
        self.say("Getting VGG19 ready ...")
        self.worker.run(self._paint)

    # What the knobs and the dropped files do.

    def _turned(self, name: str, change: Any) -> None:
        if self._restoring:
            return
        now = self._now()
        self._former.remember_turn(replace(now, values=now.values | {name: change.old}))
        self._show_state()
        self._describe()
        if name == "init" and self.picture is not None:
            self.say("Run paints from there; what is painted now goes on as it is.")
        elif self._prolong():
            self.say("Painting ...")
        elif self.state == "idle":
            if self.picture is not None:
                self.say("Run paints like that, from the start.")
            if name == "size":
                self.worker.run(self._warm_up)

    def _prolong(self) -> bool:
        """Give a change all the steps that it may need; whether this woke what had finished."""
        with self._lock:
            self._left = max(self._left, self.settings["steps"])
            if self.state != "finished":
                return False
            self.state = "running"
        self.worker.run(self._paint)
        return True

    def _dropped(self, kind: str, name: str, data: bytes) -> None:
        source = dropped(name, data)
        content, style = (source, self.style) if kind == "content" else (self.content, source)
        shown = self._load(content, style, self.knobs["size"].value)  # or there is an error, and nothing changes
        self._former.remember(self._now())
        if kind == "content":  # nothing of the former picture is of use
            self.worker.cancel()
            with self._lock:
                self.picture, self._painting, self.view.after, self._backbone = None, None, b"", "pocket"
                self.history, self._done, self.state = [], 0, "idle"
            self._draw()
        self._take(content, style, *shown)
        self._show_state()
        self.say(f"Took {name}.")
        if kind == "content":
            self.worker.run(self._warm_up)
        else:
            self._prolong()

    def _load(self, content: Source, style: Source, size: float) -> tuple[np.ndarray, np.ndarray]:
        """The pictures to paint from, as large as they are shown. Raises PictureError."""
        return content.load(int(size)), resize_painting(style.load(), size)

    def _take(self, content: Source, style: Source, photograph: np.ndarray, painting: np.ndarray) -> None:
        """Paint from these, and show them, as `_load` has them."""
        self.content, self.style = content, style
        self.view.before = encode(photograph)
        self.content_zone.show(content.name, photograph)
        self.style_zone.show(style.name, painting)
        self.view.alt = f"{content.name} in the manner of {style.name}".replace("_", " ")
        self._describe()

    # What the worker does.

    def _warm_up(self, cancelled: threading.Event) -> None:
        """Compile the step for this size, so that the first run does not begin by waiting for it."""
        if not cancelled.is_set():
            self._new_painting(self.settings, None).step()

    def _paint(self, cancelled: threading.Event) -> None:
        """Paint until it is told to stop, or no steps are left."""
        try:
            shown_at, cost, self._heeded_at = -FRAME, 0.0, time.perf_counter()
            while not cancelled.is_set():
                painting = self._heed(cancelled)
                if painting.level_finished and not painting.finished:
                    painting.advance()
                painting.step()
                with self._lock:
                    if self._painting is not painting:  # something else was wanted meanwhile
                        continue
                    self._done, self._left = self._done + 1, self._left - 1
                began = time.perf_counter()
                last = self._left <= 0 or cancelled.is_set()
                frame = min(max(FRAME, (began - self._heeded_at) / 12), LATER_FRAME)
                if last or began - shown_at > max(frame, 4 * cost):
                    self._show(painting, last)
                    shown_at = time.perf_counter()
                    cost = shown_at - began
                with self._lock:
                    if self._left <= 0 and self._painting is painting and self.state != "idle":
                        self.state = "finished"
                        self.say(f"Finished after {self._done} steps. Turn a knob, and it goes on from here.")
                        return
        except Exception:
            with self._lock:
                if not cancelled.is_set():
                    self._backbone, self.state = "pocket", "idle" if self.picture is None else "paused"
                    self._describe()
            raise

    def _heed(self, cancelled: threading.Event) -> Painting:
        """The painting to go on with, now that the knobs stand where they do."""
        wanted, painting = self.settings, self._painting
        targets = self._needs_targets(wanted)
        if painting is None or targets != self._targets:
            self.say(f"Painting at {wanted['size']} pixels; the first steps at a new size take a little longer ...")
            self._starting = True
            painting = self._new_painting(wanted, self.picture)
            with self._lock:
                if not cancelled.is_set():
                    self._painting, self._targets = painting, targets
                    self._heeded, self._heeded_at = self._done, time.perf_counter()
        elif self._done - self._heeded >= SETTLE and any(getattr(painting, name) != wanted[name] for name in WEIGHTS):
            for name in WEIGHTS:
                if getattr(painting, name) != wanted[name]:
                    setattr(painting, name, wanted[name])
            self._heeded, self._heeded_at = self._done, time.perf_counter()
        return painting

    def _needs_targets(self, wanted: dict[str, Any]) -> tuple[Any, ...]:
        """What a running painting cannot be told."""
        return self.content, self.style, *(wanted[name] for name in ("size", "style_scale", "color", "backbone"))

    def _new_painting(self, wanted: dict[str, Any], picture: np.ndarray | None) -> Painting:
        going_on = {} if picture is None else {"init": picture, "pyramid": 1, "sketch": False}
        content = self.content.load(wanted["size"])
        return Painting(content, self.style.load(), **wanted | going_on)

    def _show(self, painting: Painting, last: bool) -> None:
        state, picture = painting.state(), painting.picture
        file = encode(picture)
        with self._lock:
            if self._painting is not painting:
                return
            self.picture, self.view.after = picture, file
            self.history.append((self._done, state))
            if self._starting and self.state == "running":
                self.say("Painting ...")
            self._starting = False
            if last or time.perf_counter() - self._drawn_at > LATER_FRAME:
                self._draw()

    def _draw(self) -> None:
        """The curves of the steps so far, if there are any."""
        if not self.history:
            self.curves.value = ""
            return
        parts: dict[str, list[float]] = {}
        for _, state in self.history:
            added = {"loss": state.loss} | state.contributions
            added["smoothness"] = added.pop("total_variation")  # as its knob is called
            for name, value in added.items():
                parts.setdefault(name, []).append(value)
        step, state = self.history[-1]
        how = f"{state.size[1]} x {state.size[0]} pixels, {NETWORKS[state.backbone]}"
        title = f"The loss at step {step} ({how}):"
        self.curves.value = draw_curves([step for step, _ in self.history], parts, title)
        self._drawn_at = time.perf_counter()

    # What the reader is told.

    def _show_state(self) -> None:
        running, there = self.state == "running", self.picture is not None or self.state != "idle"
        self.buttons["pause"].description = "Go on" if self.state == "paused" else "Pause"
        for name, usable in (("pause", running or self.state == "paused"), ("cancel", running or self.state == "paused"),
                             ("undo", bool(self._former.stands)), ("save", there), ("finish", there)):  # fmt: skip
            self.buttons[name].disabled = not usable

    @property
    def _output(self) -> Path:
        return output_path(f"{self.content.name}_{self.style.name}")

    def _describe(self) -> None:
        """The command and the call that paint this from the start."""
        recipes = paint_recipes(self.content.file, self.style.file, self.settings, str(free_path(self._output)))
        self.command.text, self.call.text = recipes

    def close(self) -> None:
        """Stop, and forget the pictures."""
        super().close()
        self._painting, self._former, self.history = None, History(), []


def style_studio(content: Any, style: Any, *, size: int = 256, steps: int = STEPS) -> StyleStudio:
    """Paint a photograph in the manner of a painting, with sliders that steer it; at the end of a cell, it shows itself.

    Args:
        content, style: each a file's name, a bundled picture's name, an array, or what else `load_image` takes. Others can
            be dropped on the panel.
        size: the long side in pixels, 64 to 768; steps: evaluations of the loss after the last change. Both are knobs.

    Raises:
        PictureError: if they are no pictures.
    """
    return StyleStudio(find_source(content, "content"), find_source(style, "style"), size, steps)
