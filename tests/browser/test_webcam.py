"""`webcam_studio` with Chromium's made-up camera: it paints, counts, and lets go of the camera whatever happens."""

import json

import pytest

CELL = "from nst_lib.studio import webcam_studio\npanel = webcam_studio()\npanel"
# Note every track that the page is given, so that a test can ask whether the camera is still on.
NOTE_TRACKS = """
window.tracks = [];
const give = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (give) navigator.mediaDevices.getUserMedia = async (...wishes) => {
  const stream = await give(...wishes);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""


def live_tracks(page):
    return page.evaluate("() => window.tracks.filter(track => track.readyState === 'live').length")


def wait_for_release(page):
    page.wait_for_function("() => window.tracks.length && window.tracks.every(track => track.readyState === 'ended')")


def start(view):
    """Press Start and wait until something is painted and counted."""
    view.get_by_role("button", name="Start camera").click()
    view.get_by_text("frames a second").wait_for()


def counters(book, panel="panel"):
    return json.loads(book.run(f"import json; print(json.dumps({panel}.camera.counters))"))


def pixels(view):
    return view.locator("canvas").evaluate("canvas => canvas.toDataURL('image/jpeg', 0.3)")


@pytest.fixture
def webcam(notebook, page):
    """A notebook with the panel on the screen."""

    def open_with(*cells):
        page.add_init_script(NOTE_TRACKS)
        book = notebook(*(cells or [CELL]))
        book.run_all()
        book.panel.get_by_role("button", name="Start camera").wait_for()
        return book

    return open_with


def test_paints_counts_and_changes_style_while_it_runs(webcam, page):
    book = webcam()
    start(book.panel)
    before = pixels(book.panel)
    page.wait_for_timeout(3000)
    found = counters(book)
    assert pixels(book.panel) != before
    assert found["frames"] >= 3 and found["seen"] >= found["frames"]
    assert 0 < found["kernel"] < found["p50"] <= found["p95"] < 10_000
    assert abs(found["fps"] - found["frames"] / found["seconds"]) < 1e-6
    book.panel.get_by_role("button", name="only").nth(3).click()
    page.wait_for_timeout(2500)
    assert book.run("print(panel.style.shares, panel.camera.said)").startswith("{'composition_viii': 1.0} Painting.")
    assert counters(book)["frames"] > found["frames"]
    book.panel.get_by_role("button", name="Stop").click()
    wait_for_release(page)
    assert "released" in book.panel.inner_text()


def test_snapshot_and_clip_are_saved(webcam, page):
    book = webcam()
    start(book.panel)
    book.panel.get_by_role("button", name="Snapshot").click()
    book.panel.get_by_text("Saved webcam.png").wait_for()
    book.panel.get_by_role("button", name="Record 10 s").click()
    book.panel.get_by_text("Recording 10 seconds").wait_for()
    book.panel.get_by_role("button", name="only").nth(3).click()  # which leaves the notice where it is
    page.wait_for_timeout(1500)
    assert book.panel.get_by_role("button", name="Recording: ").is_disabled()
    assert "Recording 10 seconds" in book.panel.inner_text()
    book.panel.get_by_role("button", name="Stop").click()  # a film that is broken off is kept as far as it got
    book.panel.get_by_text("Saved webcam.mp4").wait_for()
    size = "import nst_lib, os; print(nst_lib.load_image('webcam.png').shape, os.path.getsize('webcam.mp4') > 1000)"
    assert book.run(size).strip() == "(480, 640, 3) True"


def test_camera_is_released_when_its_panel_goes(webcam, page):
    book = webcam()
    ways = {
        "clear the output": lambda: book.command("notebook:clear-all-cell-outputs"),
        "run the cell again": book.run_all,
        "close the panel": lambda: book.run("panel.close()"),
        "restart the kernel": lambda: page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        ),
        "kill the kernel": lambda: page.evaluate(
            """() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute(
              { code: 'import os, signal; os.kill(os.getpid(), signal.SIGKILL)' }); }"""
        ),
    }
    for number, way in enumerate(ways.values(), 1):
        book.run_all()
        start(book.panel)
        assert (live_tracks(page), page.evaluate("() => window.tracks.length")) == (1, number)
        way()
        wait_for_release(page)
    book.panel.get_by_text("The link to the kernel has ended").wait_for()


def test_camera_is_released_when_its_panel_is_hidden(webcam, page):
    """As on a tab of `nst studio` that is not the open one."""
    book = webcam()
    start(book.panel)
    book.panel.evaluate("panel => { panel.style.display = 'none'; }")
    wait_for_release(page)
    book.panel.evaluate("panel => { panel.style.display = ''; }")
    book.panel.get_by_text("the panel was hidden").wait_for()
    start(book.panel)


def test_camera_is_released_when_the_kernel_does_not_answer(webcam, page):
    book = webcam()
    start(book.panel)
    book.run(
        "panel.camera.on_msg(panel._receive, remove=True)"
    )  # as dead as a kernel can be whose panel stays on the page
    wait_for_release(page)
    assert "has not answered for 10 seconds" in book.panel.inner_text()


def test_two_panels_are_independent(webcam, page):
    book = webcam(CELL, CELL.replace("panel", "other"))
    first, second = (page.locator(".nst-webcam").nth(i) for i in (0, 1))
    start(first)
    second.get_by_role("button", name="Start camera").click()
    second.get_by_text("frames a second").wait_for()
    assert live_tracks(page) == 2
    first.get_by_role("button", name="Stop").click()
    page.wait_for_function("() => window.tracks.filter(track => track.readyState === 'live').length === 1")
    before = counters(book, "other")["frames"]
    page.wait_for_timeout(2500)
    assert counters(book, "other")["frames"] > before


def test_no_camera_is_said_in_plain_words(webcam, page):
    book = webcam()
    refusals = {"NotAllowedError": "may not use the camera", "NotFoundError": "No camera was found",
                "NotReadableError": "another program", "AbortError": "The camera cannot be used: AbortError."}  # fmt: skip
    for name, words in refusals.items():
        refuse = "name => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', name); }; }"
        page.evaluate(refuse, name)
        book.panel.get_by_role("button", name="Start camera").click()
        book.panel.get_by_text(words).wait_for()
    page.evaluate("() => Object.defineProperty(window, 'isSecureContext', { value: false })")
    book.panel.get_by_role("button", name="Start camera").click()  # it can be tried again each time
    book.panel.get_by_text("Browsers lend the camera only to pages of this computer").wait_for()


def test_keyboard_and_screen_readers(webcam, page):
    book = webcam()
    book.panel.get_by_role("button", name="Start camera").focus()
    page.keyboard.press("Enter")
    book.panel.get_by_text("frames a second").wait_for()
    page.keyboard.press("Space")
    wait_for_release(page)
    book.check_both_themes()
