"""`moodboard_studio`: a mood board on the screen, drawn anew while its title and its rows are chosen."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image

from nst_lib.files import free_path
from nst_lib.images import check_picture, to_pil
from nst_lib.moodboards import MAX_PICTURES, draw_board, moodboard
from nst_lib.studio.controls import encode
from nst_lib.studio.panels import Panel, Worker, output_folder

HERE = Path(__file__).parent
LARGE = 1600  # pixels: the long side of a picture that is enlarged


class Page(anywidget.AnyWidget):
    """The page on the screen; see boards.js.

    Attributes:
        page: the bytes of its JPEG; boxes: where its pictures are, see `Board`; alt: what a screen reader says.
    """

    _esm = (HERE / "boards.js").read_text(encoding="utf-8")  # see `Control`
    _css = (HERE / "boards.css").read_text(encoding="utf-8")
    page = traitlets.Bytes().tag(sync=True)
    boxes: traitlets.List = traitlets.List().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)


class MoodboardStudio(Panel):
    """A mood board; made by `moodboard_studio`.

    Attributes:
        pictures: those on it.
        title, columns: widgets; 0 columns are as many as fill the page best.
        view: the Page.
        files: a Worker that writes it.
    """

    def __init__(self, pictures: Sequence[np.ndarray], title: str, columns: int, font: str | None):
        self.pictures, self._font = list(pictures), font
        super().__init__()
        self.files = Worker(self.show_error, every=True)  # before what may fail: `close` asks for it
        short = {"description_width": "initial"}
        self.title = widgets.Text(title, description="title", continuous_update=False, style=short)
        self.columns = widgets.BoundedIntText(
            columns, min=0, max=MAX_PICTURES, description="columns", style=short, layout={"width": "10em"}
        )
        self._save_button = widgets.Button(description="Save PNG and PDF")
        self.view = Page()
        row = widgets.Box(
            [self.title, self.columns, self._save_button], layout={"flex_flow": "row wrap", "grid_gap": "0 12px"}
        )
        hint = widgets.HTML("0 columns: as many as fill the page best. Press a picture, or the page, to enlarge it.")
        self.children = [row, hint, self.view, self.message]
        self.title.observe(lambda _: self._draw(), "value")
        self.columns.observe(lambda _: self._draw(), "value")
        self._save_button.on_click(lambda _: self.save())
        self.view.on_msg(self._enlarge)
        self._draw()

    def save(self) -> None:
        """Write the page as PNG and PDF, in the background."""
        pictures, settings = list(self.pictures), self._settings()

        def write(_: threading.Event) -> None:
            self.say("Writing ...")
            png, pdf = moodboard(pictures, free_path(output_folder() / "moodboard.png", ".pdf"), **settings)
            self.say(f"Saved {png} and {pdf}")

        self.files.run(write)

    def close(self) -> None:
        """Also wait until a page that is being written is complete."""
        self.files.finish()
        super().close()

    def _settings(self) -> dict[str, Any]:
        return {"title": self.title.value, "columns": self.columns.value or None, "font": self._font}

    def _draw(self) -> None:
        pictures, settings = list(self.pictures), self._settings()

        def job(cancelled: threading.Event) -> None:
            board = draw_board(pictures, ["jpeg"], **settings)
            if not cancelled.is_set():
                titled = f", titled {settings['title']}" if settings["title"] else ""
                self.view.alt = f"a page with pictures and their colours, {len(pictures)} in all{titled}"
                self.view.boxes = [list(box) for box in board.boxes]
                self.view.page = board.files["jpeg"]
                self.say("")

        self.say("Drawing the page ...")
        self.worker.run(job)

    def _enlarge(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """A picture was pressed: the browser wants it large."""
        picture = to_pil(self.pictures[content["picture"]])
        picture.thumbnail((LARGE, LARGE), Image.Resampling.LANCZOS)  # of any shape, unlike `resize`
        self.view.send({"picture": content["picture"]}, [encode(np.asarray(picture) / np.float32(255))])


def moodboard_studio(
    pictures: Sequence[np.ndarray], *, title: str = "", columns: int = 0, font: str | None = None
) -> MoodboardStudio:
    """Show pictures, their palettes and the palette of them all on a page; at the end of a cell, it shows itself.

    Args:
        pictures, title, columns, font: see `nst_lib.moodboard`; 0 columns are as many as fill the page best.

    Raises:
        PictureError: for what is no picture. Other mistakes are shown in the panel.
    """
    return MoodboardStudio(
        [check_picture(picture, "a picture of the board") for picture in pictures], title, columns, font
    )
