"""`fast_studio`: a picture in a blend of trained styles, painted anew while a slider moves."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from nst_lib.fast.styles import Style
from nst_lib.files import free_path
from nst_lib.images import resize, save_image
from nst_lib.studio.blending import NO_STYLE, Blend, in_line, load_blend
from nst_lib.studio.controls import Compare, DropZone, Knob, Snippet, encode
from nst_lib.studio.panels import HEAD_START, Panel, Worker, output_path
from nst_lib.studio.recipes import fast_recipes
from nst_lib.studio.sources import Source, dropped, find_source

SIZE = 512  # pixels: the long side of what is shown; what is saved has the picture's own size


class FastStudio(Panel):
    """A picture in a blend of trained styles; made by `fast_studio`.

    Attributes:
        blend: a knob for each style; strength: a Knob, see `Style`.
        view: the photograph and the painting, with a divider between them.
        source, photograph: where it comes from, and (h, w, 3) in [0, 1], as large as it was given.
        picture: the painting that is shown.
        style: what it is painted in.
        files: a Worker that reads and writes pictures.
    """

    def __init__(self, style: Style, source: Source, file: str | os.PathLike | None):
        self.style, self._file = style, file
        self.blend, self.strength = Blend(style), Knob("strength", 1.0, 0, 1)
        self.view = Compare(names=("photograph", "painting"))
        self.drop = DropZone("photograph", self._dropped, self.show_error)
        self.command, self.call = Snippet(label="In a terminal"), Snippet(label="In Python")
        self._save_button = widgets.Button(description="Save", tooltip="paint it at its own size, into a file")
        super().__init__()
        self.files = Worker(self.show_error, every=True)
        pictures = widgets.VBox(
            [self.view, self.drop], layout={"flex": "1 1 380px", "max_width": "512px", "grid_gap": "8px"}
        )
        knobs = widgets.VBox([self.blend, in_line(self.strength), self._save_button], layout={"flex": "1 1 380px"})
        row = widgets.Box([pictures, knobs], layout={"flex_flow": "row wrap", "grid_gap": "8px 24px"})
        self.children = [row, self.message, self.command, self.call]
        self._save_button.on_click(lambda _: self.save())
        self.blend.observe(self._blended, "shares")
        self.strength.observe(lambda _: self._faded(), "value")
        self._take(source)

    def save(self) -> None:
        """Paint the photograph at its own size, and write it into a file, in the background."""
        style, strength, source, photograph = self.style, self.strength.value, self.source, self.photograph
        output = self._output(style)

        def write(_: threading.Event) -> None:
            self.say("Painting it at its own size ...")
            pastiche = style(photograph, strength)
            if not source.on_disk:  # for the command to find it
                source.write()
                self._describe()
            path = save_image(pastiche, free_path(output))
            self._describe()  # its commands must not replace what was saved
            self.say(f"Saved {path}: {pastiche.shape[1]} x {pastiche.shape[0]}")

        self.files.run(write)

    def close(self) -> None:
        """Also wait until a picture that is being written is complete."""
        self.files.finish()
        super().close()

    def _dropped(self, name: str, data: bytes) -> None:
        self.files.run(lambda _: self._take(dropped(name, data)))

    def _take(self, source: Source) -> None:
        """Go on with another photograph. Raises PictureError, and then the former one stays."""
        photograph = source.load()
        self.source, self.photograph = source, photograph
        self._small = resize(photograph, SIZE) if max(photograph.shape) > SIZE else photograph
        self.drop.show(Path(source.file).name, self._small)
        self.view.before = encode(self._small)
        self.say("")
        self._paint()

    def _blended(self, change: Any) -> None:
        if not change.new:
            self.say(NO_STYLE)
            return
        self.style = self.style.blend(change.new)
        self.say("")
        self._paint()

    def _faded(self) -> None:
        self.say("" if self.blend.shares else NO_STYLE)
        self._paint()

    def _paint(self) -> None:
        style, strength, photograph = self.style, self.strength.value, self._small

        def job(_: threading.Event) -> None:
            self.picture = style(photograph, strength)
            self.view.after = encode(self.picture)

        self.worker.run(job, HEAD_START)
        self._describe()

    def _describe(self) -> None:
        shares = " and ".join(f"{share:.0%} {name}" for name, share in self.style.shares.items())
        self.view.alt = f"{self.source.name} painted as {shares}, strength {self.strength.value:g}"
        knobs = self.blend.shares or self.style.shares  # with all knobs at 0, what was painted before goes on
        file = None if self._file is None else os.fspath(self._file)
        output = str(free_path(self._output(self.style)))
        recipes = fast_recipes(self.source.file, knobs, self.strength.value, file, output)
        self.command.text, self.call.text = recipes

    def _output(self, style: Style) -> Path:
        return output_path("_".join([self.source.name, *style.shares]))


def fast_studio(
    picture: Any, style: str | Mapping[str, float] | None = None, *, file: str | os.PathLike | None = None
) -> FastStudio:
    """Blend trained styles on a picture, with sliders that answer at once; at the end of a cell, the panel shows itself.

    Args:
        picture: a file's name, a bundled photograph's name, an array, or what else `load_image` takes. Another one can be
            dropped on the panel.
        style, file: what it begins with, and whose styles there are; see `load_blend`.

    Raises:
        PictureError: if it is no picture.
        SettingsError, StyleError: as `load_blend`.
    """
    return FastStudio(load_blend(style, file), find_source(picture, "content"), file)
