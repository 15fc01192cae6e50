"""`nst studio`: the panels as a page of their own, without a notebook. Voila serves it, to this machine only."""

import argparse
import functools
import importlib.util
import json
import os
import signal
import socket
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nst_lib.course import find_data
from nst_lib.errors import PictureError, SettingsError
from nst_lib.files import atomic_write
from nst_lib.images import load_image

PHOTOGRAPH, PAINTING = "chelsea_cat", "hokusai_great_wave"  # of the course, where no others are given
PORT, PORTS = 8866, 50  # Voila's own; if it is taken, one of the next
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8", "anywidget"]  # of the page
IDLE = 600  # seconds after which what a closed page has left behind is cleared away


def add_to(commands: Any) -> None:
    """Add the command to argparse's."""
    studio = commands.add_parser(
        "studio",
        help="the panels of the course as a page in the browser",
        description="Open a page with the panels of the course: blend trained styles, steer a painting, paint what the\n"
        "camera sees, look into the network. It is served to this machine only; Ctrl-C ends it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    studio.set_defaults(run=_studio)
    studio.add_argument("picture", metavar="PICTURE", nargs="?", help="a photograph (default: one of the course's)")
    studio.add_argument("--style", metavar="PAINTING", help="a painting (default: one of the course's)")
    studio.add_argument("--port", metavar="N", type=int, help=f"(default: {PORT}, or the next that is free)")
    studio.add_argument("--no-browser", action="store_true", help="do not open it, only print its address")


def _studio(options: argparse.Namespace) -> int:
    for module in ("voila", "anywidget"):
        if importlib.util.find_spec(module) is None:
            raise SettingsError(
                f'the studio as a page needs {module}: pip install "nst_lib[course]". The panels work in notebooks, too: '
                "see nst_lib.studio."
            )
    photograph = _picture(options.picture, "content", PHOTOGRAPH)
    painting = _picture(options.style, "style", PAINTING)
    port = find_port(options.port)
    with tempfile.TemporaryDirectory(prefix="nst_studio_") as folder:
        notebook = write_page(Path(folder), photograph, painting)
        serve(notebook, port, not options.no_browser)
    return 0


def _picture(given: str | None, kind: str, default: str) -> Path:
    """The path of a picture, or of one of the course's. Raises PictureError if it is none, or there is no course here."""
    if given is None:
        try:
            return Path(os.path.relpath(find_data() / kind / f"{default}.jpg"))
        except PictureError as problem:
            raise PictureError(
                "the course's pictures are not here: give some of yours, nst studio PICTURE --style PAINTING."
            ) from problem
    load_image(given)
    return Path(given)


def find_port(wanted: int | None) -> int:
    """A port of this machine that is free, `wanted` or one of Voila's. Raises SettingsError if there is none."""
    for port in range(PORT, PORT + PORTS) if wanted is None else [wanted]:
        try:
            with socket.create_server(("127.0.0.1", port)) as server:
                return server.getsockname()[1]  # for 0, one that the system has chosen
        except (OSError, OverflowError):
            continue
    what = f"port {wanted} is" if wanted is not None else f"the ports {PORT} to {PORT + PORTS - 1} are"
    raise SettingsError(f"{what} in use, or not for you to use: choose another with --port, from 1024 to 65535.")


def write_page(folder: Path, photograph: Path, painting: Path) -> Path:
    """Write the notebook that is the page, and return its path. What its panels save comes to the working directory."""
    source = (
        "import os\n"
        f"os.chdir({os.getcwd()!r})\n"
        "from nst_lib.studio.app import build_page\n"
        f"build_page({str(photograph)!r}, {str(painting)!r})"
    )
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "page",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "studio.ipynb"
    with atomic_write(path) as file:
        file.write(json.dumps(notebook).encode())
    return path


def serve(notebook: Path, port: int, browser: bool) -> None:
    """Serve the page until Ctrl-C, or SIGTERM."""
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")  # or Jupyter warns that it will be so one day
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Voila's, not ours to mend
        from tornado.ioloop import IOLoop
        from voila.app import Voila
    settings: dict[str, object] = {
        "Voila.ip": "127.0.0.1",
        "Voila.port": port,
        "Voila.port_retries": 0,
        "Voila.open_browser": browser,
        "Voila.log_level": "ERROR",
        "VoilaConfiguration.show_tracebacks": True,
        "VoilaConfiguration.extension_allowlist": repr(EXTENSIONS),
        "MappingKernelManager.cull_interval": 60,
        "MappingKernelManager.cull_idle_timeout": IDLE,
    }
    if os.name == "posix":  # the page's programs talk through files that nobody else reads; their names must be short
        settings |= {"KernelManager.transport": "ipc", "Voila.connection_dir_root": "/tmp"}
    for ending in (signal.SIGINT, signal.SIGTERM):  # also where a script has started us, and told us to ignore Ctrl-C
        signal.signal(ending, signal.default_int_handler)
    tell = functools.partial(print, f"The studio is at http://127.0.0.1:{port}/ ; Ctrl-C here ends it.", flush=True)
    IOLoop.current().add_callback(tell)  # when it can be reached
    Voila.launch_instance([str(notebook), *(f"--{name}={value}" for name, value in settings.items())])


def build_page(photograph: str, painting: str) -> Any:
    """The page's widget: a tab for each panel, which is made when its tab is first opened."""
    import ipywidgets as widgets

    import nst_lib.studio as studio
    from nst_lib.studio.panels import in_words

    panels: dict[str, Callable[[], Any]] = {
        "Styles at once": lambda: studio.fast_studio(photograph),
        "Steer a painting": lambda: studio.style_studio(photograph, painting),
        "Webcam": lambda: studio.webcam_studio(),
        "Inside the network": lambda: studio.layer_explorer(photograph),
    }
    pages = [widgets.VBox([widgets.HTML("<p>A moment: the engine starts ...</p>")]) for _ in panels]
    tabs = widgets.Tab(pages, titles=list(panels), selected_index=0)
    made = set()

    def open_tab(_: object) -> None:
        index = tabs.selected_index
        if index in made:
            return
        made.add(index)
        try:
            pages[index].children = [list(panels.values())[index]()]
        except Exception as problem:  # on the page, or nobody would see it
            pages[index].children = [widgets.HTML(f'<p role="alert">{in_words(problem)}</p>')]

    open_tab(None)
    tabs.observe(open_tab, "selected_index")
    heading = widgets.HTML("<h1>Neural style transfer: the studio</h1>")
    return widgets.VBox([heading, tabs])
