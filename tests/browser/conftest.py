"""A JupyterLab and a Chromium for the browser tests, one of each for all of them, and a notebook of its own for every test.

    def test_it(notebook):
        book = notebook("from nst_lib.studio import style_studio; style_studio()")
        book.run_all()
        book.panel.get_by_role("button", name="Run").click()

Of a test that fails, a screenshot is kept in tests/browser/artefacts.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Lab, Notebook, find_chromium, running_browser, running_lab

HERE = Path(__file__).resolve().parent
ARTEFACTS = HERE / "artefacts"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser tests are slow and come last: Playwright leaves an event loop running, which other tests want to start."""
    items.sort(key=lambda item: HERE in item.path.parents)
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Keep a picture of what a failed test had on its page."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None:
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"{name_of(item)}.png")
    return report


def name_of(test: Any) -> str:
    """A test's name, for files."""
    return re.sub(r"[^a-z0-9]+", "_", test.name.lower())


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, with a camera that shows a test pattern."""
    pytest.importorskip("playwright", reason="browser tests are driven by playwright, of the extra browser")
    pytest.importorskip(
        "axe_playwright_python", reason="browser tests need axe-playwright-python, of the extra browser"
    )
    if find_chromium() is None:
        pytest.skip("browser tests need Chromium: on Debian, apt-get install chromium")
    with running_browser(tmp_path_factory.mktemp("browser")) as context:
        yield context


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab of our own."""
    pytest.importorskip("jupyterlab", reason="JupyterLab comes with the extra course")
    with running_lab(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page of 1280 x 1000 pixels."""
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def notebook(page: Any, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook with the given cells, in a fresh kernel that ends with the test."""
    yield lambda *cells: Notebook(page, lab, cells, name_of(request.node))
    page.goto("about:blank")
    for session in lab.ask("sessions"):
        lab.ask(f"sessions/{session['id']}", "DELETE")
