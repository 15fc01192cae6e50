"""`mask_painter` and `moodboard_studio` with mouse and keyboard."""

import json
import re

MASK = """
import json
import numpy as np
from nst_lib.studio import mask_painter
painter = mask_painter(np.full((120, 160, 3), 0.5, "float32"))
painter
"""
BOARD = """
import numpy as np
from nst_lib.studio import moodboard_studio
noise = np.random.default_rng(0).random((2, 120, 160, 3), "float32")
board = moodboard_studio([noise[0], noise[1] * 0.5, noise[0][:, :80]], title="Noise")
board
"""


def look(book):
    """Of the mask: its mean, and its mean on the left half and in the top half."""
    book.page.wait_for_timeout(300)  # it is on its way
    return json.loads(
        book.run("m = painter.mask; print(json.dumps([float(x.mean()) for x in (m, m[:, :80], m[:60])]))")
    )


def test_a_mask_is_painted_erased_and_undone(notebook, page):
    book = notebook(MASK)
    book.run_all()
    canvas = book.panel.locator("canvas")
    box = canvas.bounding_box()
    assert look(book) == [0, 0, 0]

    book.panel.get_by_label("brush, as a number").fill("20")
    page.keyboard.press("Tab")
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.8, steps=5)
    page.mouse.up()
    book.panel.get_by_text("The mask covers 9 %").wait_for()  # 72 x 20 pixels and two half discs, of 160 x 120
    whole, left, top = look(book)
    assert (
        abs(whole - (72 * 20 + 314) / (160 * 120)) < 0.005 and abs(left - 2 * whole) < 1e-3 and abs(top - whole) < 0.005
    )

    book.panel.get_by_role("button", name="Invert").click()
    book.panel.get_by_text("The mask covers 91 %").wait_for()
    book.panel.get_by_role("button", name="Undo").click()
    book.panel.get_by_text("The mask covers 9 %").wait_for()
    book.panel.get_by_role("checkbox", name="erase").check()
    box = canvas.bounding_box()  # the page may have been scrolled to a button
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    book.panel.get_by_text(re.compile("The mask covers [78] %")).wait_for()  # a disc less: 7.5, which rounds either way
    assert abs(look(book)[0] - (whole - 314 / (160 * 120))) < 0.002
    book.panel.get_by_role("button", name="Clear").click()
    book.panel.get_by_text("The mask covers 0 %").wait_for()


def test_a_mask_is_drawn_with_the_keyboard_and_from_python(notebook, page):
    book = notebook(MASK)
    book.run_all()
    for name, value in {"left": 0, "top": 0, "width": 80, "height": 60}.items():
        book.panel.get_by_label(name, exact=True).fill(str(value))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on Add
    book.panel.get_by_text("The mask covers 25 %").wait_for()
    assert look(book) == [0.25, 0.5, 0.5]
    book.panel.get_by_role("combobox").select_option("ellipse")
    book.panel.get_by_role("button", name="Remove").press("Enter")
    book.panel.get_by_text("The mask covers 5 %").wait_for()  # what a rectangle has besides its ellipse
    book.run("painter.mask = np.tile(np.linspace(0, 1, 160, dtype='float32'), (120, 1))")
    book.panel.get_by_role("button", name="Invert").click()
    book.panel.get_by_text("The mask covers 50 %").wait_for()
    assert abs(look(book)[1] - 0.75) < 0.01  # what was assigned, inverted
    book.panel.get_by_role("button", name="Save mask").click()
    book.panel.get_by_text("Saved mask.png").wait_for()
    book.check_both_themes()


def test_a_board_is_enlarged_and_exported(notebook, page, lab):
    book = notebook(BOARD)
    book.run_all()
    picture = book.panel.get_by_role("button", name="enlarge picture 3")
    picture.press("Enter")
    large = page.get_by_role("dialog").get_by_role("img", name="picture 3")
    large.wait_for()
    page.wait_for_function("() => document.querySelector('dialog img').naturalWidth === 80")
    page.keyboard.press("Escape")
    large.wait_for(state="hidden")
    book.panel.get_by_role("button", name="a page with pictures").click(position={"x": 5, "y": 5})
    page.get_by_role("dialog").get_by_role("img", name="titled Noise").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    book.panel.get_by_role("button", name="Save PNG and PDF").click()
    book.panel.get_by_text("Saved moodboard.png and moodboard.pdf").wait_for()
    assert all((lab.folder / f"moodboard.{kind}").stat().st_size > 10_000 for kind in ("png", "pdf"))
    book.check_accessibility()
