"""What every panel is made of: a worker that runs one job at a time, a line that says how things stand, and an end for panels
whose cell is run again. Knobs and other controls are in controls.py.
"""

import os
import re
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from nst_lib.course import find_data
from nst_lib.errors import NSTError, PictureError
from nst_lib.studio.controls import Knob as Knob
from nst_lib.studio.controls import encode as encode

# The panels of each cell, and the execution that made them; see `Panel`.
_panels: dict[str, tuple[str, list["Panel"]]] = {}


class Worker:
    """Runs jobs in the background, one at a time; a newer one replaces the one before it. Idle, it has no thread.

    Args:
        failed: called with the exception that a job ended with, in the job's thread.
    """

    def __init__(self, failed: Callable[[Exception], None]):
        self._failed, self._lock = failed, threading.Lock()
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._error: Exception | None = None

    def run(self, job: Callable[[threading.Event], None]) -> None:
        """Cancel what runs, and start `job(cancelled)` when it has ended. A job looks at `cancelled` between its steps."""
        with self._lock:
            self._cancelled.set()
            self._cancelled, before = threading.Event(), self._thread
            arguments = job, self._cancelled, before
            thread = threading.Thread(target=self._work, args=arguments, name="nst-worker", daemon=True)
            thread.start()
            self._thread = thread  # not before: another thread may be about to join it

    def _work(self, job: Callable[[threading.Event], None], cancelled: threading.Event, before: Any) -> None:
        if before is not None:
            before.join()
        if cancelled.is_set():  # something newer was wanted meanwhile
            return
        try:
            job(cancelled)
        except Exception as problem:
            self._error = problem
            self._failed(problem)

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._thread is not None and self._thread.is_alive()

    def cancel(self) -> None:
        """Ask the job that runs to end after its present step. Returns at once."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait, at most `timeout` seconds, until nothing runs. Raises what the last job failed with, once."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(f"still at work after {timeout} seconds.")
        error, self._error = self._error, None
        if error is not None:
            raise error


class Panel(widgets.VBox):
    """A panel in a notebook: a column of widgets, with a worker and a line of text below.

    Run a cell again, and the panels that it made before are closed: their jobs cancelled, their widgets forgotten. Panels of
    other cells, and several of one cell, live side by side.

    Attributes:
        worker: runs the panel's jobs.
        message: a line for the reader; screen readers say it aloud when it changes.
    """

    def __init__(self) -> None:
        self.worker = Worker(self.show_error)
        self.message = widgets.HTML('<span role="status"></span>', layout={"min_height": "1.6em"})
        super().__init__()
        self.add_class("nst-panel")
        _close_former(self)

    def say(self, text: str) -> None:
        """Show a line of plain text."""
        self.message.value = f'<span role="status">{escape(text)}</span>'

    def show_error(self, problem: Exception) -> None:
        """Show what went wrong; the message alone where it is one of ours."""
        text = str(problem) if isinstance(problem, NSTError) else f"{type(problem).__name__}: {problem}"
        self.message.value = f'<span role="alert"><b>That did not work:</b> {escape(text)}</span>'

    def close(self) -> None:
        """Cancel what runs, without waiting for its end, and forget the panel's widgets."""
        self.worker.cancel()
        for child in _descendants(self):
            _close_looks(child)
            child.close()
        _close_looks(self)
        super().close()


def _descendants(widget: widgets.Widget) -> list[widgets.Widget]:
    children = list(getattr(widget, "children", ()))
    return [found for child in children for found in [*_descendants(child), child]]


def _close_looks(widget: widgets.Widget) -> None:
    """Close a widget's layout and style, which are widgets of their own."""
    for name in ("layout", "style"):
        looks = getattr(widget, name, None)
        if isinstance(looks, widgets.Widget):
            looks.close()


def _close_former(panel: Panel) -> None:
    """Close the panels that the running cell made in an earlier run of it. Outside notebooks nothing runs a cell twice."""
    try:
        from IPython import get_ipython

        parent = get_ipython().get_parent()
        cell, run = parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (ImportError, AttributeError, KeyError, TypeError):
        return
    former, panels = _panels.get(cell, ("", []))
    if former != run:
        for old in panels:
            old.close()
        panels = []
    _panels[cell] = run, [*panels, panel]


def output_folder() -> Path:
    """Where panels write: the folder `out` of the course's repository, or else the working directory."""
    try:
        out = find_data().parent / "out"
    except PictureError:
        return Path()
    return Path(os.path.relpath(out)) if out.is_dir() else Path()


def free_path(name: str | os.PathLike[str]) -> Path:
    """`name` itself, or with a number: name-2.png, if there is such a file already."""
    path, number = Path(name), 1
    while path.exists():
        number += 1
        path = path.with_stem(f"{re.sub(r'-[0-9]+$', '', path.stem)}-{number}")
    return path
