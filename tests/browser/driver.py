"""JupyterLab and Chromium, driven by Playwright: for the browser tests, and for tools that measure or film the panels."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60_000  # milliseconds until we take it that something will not happen: two cores can be busy
# What JupyterLab would fetch, ask or show besides the notebook.
DISABLED = ("@jupyterlab/apputils-extension:announcements", "@jupyterlab/extensionmanager-extension",
            "@jupyterlab/lsp-extension", "@jupyterlab/translation-extension:plugin")  # fmt: skip
CHROMIUM = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run",
            "--use-fake-device-for-media-stream=fps=30", "--use-fake-ui-for-media-stream")  # fmt: skip
NO_CELL_RUNS = """() => {
  const book = window.jupyterapp?.shell.currentWidget;
  const cells = book?.content.widgets.filter(cell => cell.model.type === 'code' && cell.model.sharedModel.source.trim());
  const idle = book?.sessionContext.session?.kernel.status === 'idle';
  return idle && cells.length && cells.every(cell => cell.model.executionCount);
}"""


def find_chromium() -> str | None:
    """Chromium's program, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextmanager
def running_browser(home: Path) -> Iterator[Any]:
    """Chromium, with a camera that shows a test pattern: Playwright's context, whose pages are of 1280 x 1000 pixels.

    It keeps scripts as compiled in the folder `home`, without which JupyterLab takes a quarter longer to load.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            home / "chromium", executable_path=find_chromium(), args=CHROMIUM, viewport={"width": 1280, "height": 1000},
            permissions=["camera", "clipboard-write"],
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        yield context
        context.close()


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, and the folder that it serves."""

    address: str
    folder: Path

    def answers(self) -> bool:
        """Whether it has started."""
        try:
            self.ask("status")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def ask(self, path: str, method: str = "GET") -> Any:
        """What its REST interface answers."""
        request = urllib.request.Request(f"{self.address}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """A JupyterLab of our own, which keeps everything in the folder `home` and knows nothing of the user's settings."""
    folders = {name: home / name.lower() for name in
               ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
                "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "NOTEBOOKS")}  # fmt: skip
    for folder in folders.values():
        folder.mkdir()
    page_config = folders["JUPYTER_CONFIG_DIR"] / "labconfig" / "page_config.json"
    page_config.parent.mkdir()
    page_config.write_text(json.dumps({"disabledExtensions": dict.fromkeys(DISABLED, True)}), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
               f"--ServerApp.root_dir={folders['NOTEBOOKS']}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
               "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
               "--LabApp.extension_manager=readonly", "--LabApp.news_url=None", "--ServerApp.log_level=WARN"]  # fmt: skip
    own = os.environ | {name: str(folder) for name, folder in folders.items()}
    own |= {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    own.pop("NST_BACKBONE", None)
    with open(home / "log", "wb") as log:
        server = subprocess.Popen(command, env=own, cwd=home, stdout=log, stderr=log)
    try:
        running = Lab(f"http://127.0.0.1:{port}", folders["NOTEBOOKS"])
        until = time.monotonic() + 60
        while not running.answers():
            if server.poll() is not None or time.monotonic() > until:
                said = (home / "log").read_text(encoding="utf-8")[-2000:]
                raise RuntimeError(f"JupyterLab did not start: {said}")
            time.sleep(0.2)
        yield running
    finally:
        server.terminate()
        server.wait(30)


class Notebook:
    """A notebook open in JupyterLab.

    Attributes:
        page: Playwright's page, for whatever is not here.
        lab: the server.
    """

    def __init__(self, page: Any, lab: Lab, cells: tuple[str, ...], name: str):
        from nbformat import v4

        self.page, self.lab = page, lab
        content = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
        content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        (lab.folder / f"{name}.ipynb").write_text(json.dumps(content), encoding="utf-8")
        page.goto(f"{lab.address}/doc/tree/{name}.ipynb")
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")

    def command(self, name: str, **arguments: Any) -> None:
        """Run one of JupyterLab's commands, such as "notebook:run-all-cells", and wait for its end."""
        self.page.evaluate("([name, given]) => window.jupyterapp.commands.execute(name, given).then(() => null)",
                           [name, arguments])  # fmt: skip

    def run_all(self) -> None:
        """Run all cells. Fails with the kernel's message if one raises."""
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(NO_CELL_RUNS)
        outputs = [output for cell in self.content["cells"] for output in cell.get("outputs", [])]
        errors = ["\n".join(output["traceback"]) for output in outputs if output["output_type"] == "error"]
        assert not errors, re.sub(r"\x1b\[[\d;]*m", "", errors[0])

    @property
    def content(self) -> dict[str, Any]:
        """The notebook as it is now, with its outputs."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON()")

    def run(self, code: str) -> str:
        """Run code in the kernel besides the cells, and return what it prints. Fails with its traceback if it raises."""
        answer = self.page.evaluate(
            """async code => {
              const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const future = kernel.requestExecute({ code, store_history: false });
              let text = '', error = '';
              future.onIOPub = ({ header, content }) => {
                if (header.msg_type === 'stream') text += content.text;
                if (header.msg_type === 'error') error = content.traceback.join('\\n');
              };
              await future.done;
              return [text, error];
            }""",
            code,
        )
        assert not answer[1], re.sub(r"\x1b\[[\d;]*m", "", answer[1])
        return answer[0]

    @property
    def panel(self) -> Any:
        """A locator of the (first) panel."""
        return self.page.locator(".nst-panel").first

    def set_theme(self, dark: bool) -> None:
        """Change between JupyterLab's light and dark themes."""
        self.command("apputils:change-theme", theme="JupyterLab Dark" if dark else "JupyterLab Light")
        self.page.wait_for_function("dark => (document.body.dataset.jpThemeLight === 'false') === dark", arg=dark)

    def check_accessibility(self, known: dict[str, str] | None = None) -> None:
        """Fail for what axe-core finds serious or critical inside the panels.

        Args:
            known: rules that do not count, and why, such as gaps of ipywidgets itself.
        """
        from axe_playwright_python.sync_playwright import Axe

        options = {"resultTypes": ["violations"], "rules": {rule: {"enabled": False} for rule in known or {}}}
        found = Axe().run(self.page, context=".nst-panel", options=options).response["violations"]
        bad = [f"{v['id']}: {v['help']}\n" + "\n".join(f"  {node['html'][:300]}" for node in v["nodes"])
               for v in found if v["impact"] in ("serious", "critical")]  # fmt: skip
        assert not bad, "\n".join(bad)

    def check_both_themes(self) -> None:
        """`check_accessibility` in the light theme, then in the dark one, which stays."""
        for dark in (False, True):
            self.set_theme(dark)
            self.check_accessibility()

    def check_narrow_page(self) -> None:
        """Make the page narrow, and fail for the parts of panels that reach over its right edge."""
        self.page.set_viewport_size({"width": 768, "height": 1000})
        self.page.wait_for_timeout(300)
        too_wide = self.page.evaluate(
            """() => [...document.querySelectorAll('.nst-panel, .nst-panel *')]
              .filter(each => each.getBoundingClientRect().right > innerWidth).map(each => each.outerHTML.slice(0, 200))"""
        )
        assert not too_wide, "\n".join(too_wide)
