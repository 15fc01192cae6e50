"""`fast_studio` in JupyterLab, and the page of `nst studio`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CELL = """
import nst_lib
from nst_lib.studio import fast_studio
from PIL import Image
Image.linear_gradient("L").convert("RGB").save("ramp.png")
panel = fast_studio("ramp.png")
panel
"""
PAINTING = "() => document.querySelector('.nst-compare .nst-after').src"


def wait_for_new_painting(page, before):
    page.wait_for_function(f"before => ({PAINTING})() !== before", arg=before)


def test_sliders_paint_and_the_picture_is_saved(notebook, page, lab):
    book = notebook(CELL)
    book.run_all()
    page.wait_for_function(f"() => ({PAINTING})()")
    before = page.evaluate(PAINTING)
    slider = book.panel.get_by_label("poppies", exact=True)
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    wait_for_new_painting(page, before)
    book.run("panel.worker.wait(60)")
    assert book.run("print(panel.blend.shares)").strip() == "{'great_wave': 1.0, 'poppies': 0.3}"
    book.panel.get_by_text("--style great_wave poppies --shares 1.0 0.3").wait_for()

    before = page.evaluate(PAINTING)
    book.panel.get_by_role("button", name="only").nth(2).press("Enter")
    wait_for_new_painting(page, before)
    book.panel.get_by_role("button", name="Save").click()
    book.panel.get_by_text("Saved ramp_inokashira_snow.png: 256 x 256").wait_for()
    assert (lab.folder / "ramp_inokashira_snow.png").is_file()
    book.check_both_themes()
    page.set_viewport_size({"width": 768, "height": 900})
    assert page.evaluate(
        "() => { const p = document.querySelector('.nst-panel'); return p.scrollWidth <= p.clientWidth; }"
    )


def test_a_broken_file_is_explained_and_another_one_painted(notebook, page, tmp_path):
    book = notebook(CELL)
    book.run_all()
    page.wait_for_function(f"() => ({PAINTING})()")
    (tmp_path / "broken.jpg").write_bytes(b"this is no picture")
    choose = book.panel.locator("input[type=file]")
    choose.set_input_files(tmp_path / "broken.jpg")
    book.panel.get_by_role("alert").get_by_text("broken.jpg is not a picture of a known kind").wait_for()
    before = page.evaluate(PAINTING)
    choose.set_input_files(ROOT / "data/content/chelsea_cat.jpg")
    wait_for_new_painting(page, before)
    book.panel.get_by_text("nst fast chelsea_cat.jpg").wait_for()
    assert book.panel.get_by_role("alert").count() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to end it by")
def test_nst_studio_is_a_page(page, tmp_path):
    pytest.importorskip("voila", reason="the page is served by voila, of the extra course")
    page.route("https://**", lambda route: route.abort())  # the page must do without the network
    command = [sys.executable, "-m", "nst_lib", "studio", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            page.goto(server.stdout.readline().split()[4])
            page.wait_for_function(f"() => document.querySelector('.nst-compare') && ({PAINTING})()")
            before = page.evaluate(PAINTING)
            page.get_by_label("summertime, as a number").fill("0.7")
            page.keyboard.press("Tab")
            wait_for_new_painting(page, before)
            page.get_by_role("tab", name="Webcam").click()
            page.get_by_role("button", name="Start camera").click()
            page.get_by_text("frames a second").wait_for()
            page.get_by_role("tab", name="Steer a painting").click()
            page.get_by_role("button", name="Run").wait_for()
        finally:
            os.kill(server.pid, signal.SIGINT)
        assert server.wait(30) == 0
