"""What every panel is made of: a worker that runs one job at a time, a line that says how things stand, and an end for panels
whose cell is run again. Knobs and other controls are in controls.py.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets

from nst_lib.course import find_data
from nst_lib.errors import NSTError, PictureError

LINGER = 10.0  # seconds
LONGEST = 240  # bytes of a file's name: systems have 255 at least, and .png or -2.png is to follow
# Seconds in which the handling of a message may wait for the picture that it asks for. When it ends, the kernel says so, and
# Jupyter's server sends nothing more until the browser has acknowledged that, which it does 40 ms later: Nagle's algorithm
# and TCP's delayed acknowledgement, which the server leaves on.
HEAD_START = 0.2
Job = Callable[[threading.Event], None]
# The panels of each cell, and the execution that made them; see `Panel`.
_panels: dict[str, tuple[str, list["Panel"]]] = {}


class Worker:
    """Runs jobs in the background, one at a time; a newer one replaces the one before it, or waits for its end.

    Its thread stays for LINGER seconds after a job: in a new one, a network takes twice the time, because memory is asked
    for anew.

    Args:
        failed: called with the exception that a job ended with, in the job's thread.
        every: whether none is left out, as where files are read and written.
    """

    def __init__(self, failed: Callable[[Exception], None], every: bool = False):
        self._failed, self._every, self._change = failed, every, threading.Condition()  # of what follows
        self._thread: threading.Thread | None = None
        self._jobs: deque[Job] = deque()  # still to begin
        self._cancelled: threading.Event | None = None  # of the job that runs
        self._closed = False
        self._error: Exception | None = None

    def run(self, job: Job, head_start: float = 0.0) -> None:
        """Cancel what runs (unless `every` job is wanted), and start `job(cancelled)` when it has ended. A job looks at
        `cancelled` between its steps. Once the worker is closed, nothing is started any more.

        Returns when nothing runs any more, or at the latest after `head_start` seconds.
        """
        with self._change:
            if self._closed:
                return
            self._error = None  # and what its traceback holds
            if not self._every:
                self.cancel()
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="nst-worker", daemon=True)
                self._thread.start()
            self._change.notify_all()
            self._change.wait_for(lambda: not self.busy, head_start)

    def _work(self) -> None:
        while True:
            with self._change:
                self._cancelled = None
                self._change.notify_all()
                self._change.wait_for(lambda: self._jobs or self._closed, LINGER)
                if not self._jobs:
                    self._thread = None
                    return
                job, cancelled = self._jobs.popleft(), threading.Event()
                self._cancelled = cancelled
            try:
                job(cancelled)
            except Exception as problem:
                self._error = problem
                self._failed(problem)
            del job  # and what it holds

    @property
    def busy(self) -> bool:
        """Whether a job runs, or is about to."""
        return self._cancelled is not None or bool(self._jobs)

    def cancel(self) -> None:
        """Ask the job that runs to end after its present step, and forget those that wait. Returns at once."""
        with self._change:
            self._jobs.clear()
            if self._cancelled is not None:
                self._cancelled.set()
            self._change.notify_all()

    def close(self) -> None:
        """Cancel, for good, and end the thread; a job that runs is not waited for."""
        with self._change:
            self.cancel()
            self._closed = True
            idle = None if self._cancelled is not None else self._thread
        if idle is not None:
            idle.join()

    def finish(self) -> None:
        """Wait until nothing runs, whatever went wrong, and end the thread."""
        with contextlib.suppress(Exception):  # it was handed to `failed`
            self.wait()
        self.close()

    def wait(self, timeout: float | None = None) -> None:
        """Wait, at most `timeout` seconds, until nothing runs. Raises what the last job failed with, once."""
        with self._change:
            if not self._change.wait_for(lambda: not self.busy, timeout):
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
        self.message.value = f'<span role="alert"><b>That did not work:</b> {in_words(problem)}</span>'

    def close(self) -> None:
        """Cancel what runs, without waiting for its end, and forget the panel's widgets."""
        self.worker.close()
        for child in _descendants(self):
            _close_looks(child)
            child.close()
        _close_looks(self)
        super().close()


def in_words(problem: Exception) -> str:
    """What went wrong, as HTML: the message alone where it is one of ours; others' may have none."""
    return escape(str(problem) if isinstance(problem, NSTError) else f"{type(problem).__name__}: {problem}")


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
    _panels[cell] = run, [*(panels if former == run else []), panel]
    for old in panels if former != run else ():
        old.close()


def output_folder() -> Path:
    """Where panels write: the folder `out` of the course's repository, which is made, or else the working directory."""
    try:
        out = find_data().parent / "out"
        out.mkdir(exist_ok=True)
    except (PictureError, OSError):
        return Path()
    return Path(os.path.relpath(out))


def output_path(name: str) -> Path:
    """Where panels write a picture of that name: a PNG, without spaces, and cut where no file could have so long a name."""
    return output_folder() / f"{os.fsencode(name)[:LONGEST].decode(errors='ignore')}.png".replace(" ", "_")
