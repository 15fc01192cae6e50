"""`style_studio` in a browser: sliders move, pixels change, files are dropped, a picture is saved."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from nst_lib.images import load_image

ROOT = Path(__file__).resolve().parent.parent.parent
CELL = f"""
from nst_lib.studio import style_studio

panel = style_studio("{ROOT}/data/content/kingfisher.jpg", "{ROOT}/data/style/hokusai_great_wave.jpg", size=192, steps=40)
panel
"""


@pytest.fixture
def book(notebook):
    book = notebook(CELL)
    book.run_all()
    book.run("panel.worker.wait(120)")  # it has compiled
    return book


def press(book, name):
    book.panel.get_by_role("button", name=name, exact=True).click()


def picture(book):
    """What the browser shows of the painting: its pixels (h, w, 4)."""
    width, height, pixels = book.page.evaluate(
        """() => {
          const image = document.querySelector('.nst-panel .nst-after');
          if (image.hidden || !image.naturalWidth) return [0, 0, []];
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext('2d');
          context.drawImage(image, 0, 0);
          return [canvas.width, canvas.height, Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data)];
        }"""
    )
    return np.array(pixels, "float32").reshape(height, width, 4)


def wait_for(book, text):
    book.panel.get_by_text(text).first.wait_for()


def wait_for_change(book, before):
    book.page.wait_for_function("before => document.querySelector('.nst-panel .nst-after').src !== before", arg=before)


def shown(book):
    return book.page.evaluate("() => document.querySelector('.nst-panel .nst-after').src")


def test_from_a_cold_start_to_a_saved_picture(book):
    before = shown(book)
    press(book, "Run")
    wait_for_change(book, before)
    wait_for(book, "Finished after 40 steps")
    first = picture(book)
    assert first.shape == (108, 192, 4)
    assert "evaluations of the loss" in book.panel.get_by_role("img", name="The parts of the loss by").text_content()

    # It goes on where a slider is moved, and gets nearer to the painting.
    source = shown(book)
    slider = book.panel.get_by_role("slider", name="style", exact=True)
    slider.press("PageUp")
    wait_for_change(book, source)
    wait_for(book, "Finished after")
    book.run("panel.worker.wait(120)")
    assert float(book.run("print(panel._painting.style_weight)")) == 2.51
    second = picture(book)
    assert np.abs(second - first).mean() > 2

    press(book, "Undo")
    wait_for(book, "Undone")
    book.page.wait_for_timeout(300)
    assert np.abs(picture(book) - first).mean() < 0.5
    assert slider.input_value() == "100"

    press(book, "Save")
    wait_for(book, "Saved kingfisher_hokusai_great_wave.png: 192 x 108 pixels")
    saved = book.lab.folder / "kingfisher_hokusai_great_wave.png"
    assert np.abs(255 * load_image(saved) - first[..., :3]).mean() < 5  # what is shown is a JPEG
    command = book.panel.get_by_role("region", name="From the start, in a terminal").text_content()
    assert shlex.split(command)[:2] == ["nst", "paint"] and "--size 192 --steps 40" in command

    # Accessible, and whole on a narrow page.
    book.check_both_themes()
    book.check_narrow_page()


def test_pause_cancel_and_a_broken_file(book, tmp_path):
    book.panel.get_by_label("steps, as a number").fill("500")
    book.page.keyboard.press("Enter")
    press(book, "Run")
    wait_for_change(book, shown(book))
    press(book, "Pause")
    wait_for(book, "Paused.")
    book.run("panel.worker.wait(60)")
    paused = shown(book)
    book.page.wait_for_timeout(400)
    assert shown(book) == paused
    book.panel.get_by_role("button", name="Go on").focus()
    book.page.keyboard.press("Enter")
    wait_for_change(book, paused)

    press(book, "Cancel")
    wait_for(book, "Stopped.")
    assert book.run("import time; time.sleep(0.3); print(panel.worker.busy)").strip() == "False"

    broken = tmp_path / "broken.png"
    broken.write_bytes((ROOT / "docs/gallery/moose_poppies.png").read_bytes()[:1000])
    book.panel.locator("input[type=file]").first.set_input_files(broken)
    book.panel.get_by_role("alert").get_by_text("broken.png").wait_for()
    assert book.panel.get_by_text("kingfisher", exact=True).is_visible()

    press(book, "Finish with VGG19")
    book.panel.get_by_role("alert").get_by_text("nst fetch vgg19").wait_for()

    book.run_all()  # the same cell again: its former panel is closed
    alive = "from nst_lib.studio import panels; print([len(made) for _, made in panels._panels.values()])"
    assert book.run(alive).strip() == "[1]"
    book.run("panel.worker.wait(120); panel.close()")
    threads = "import threading; print([thread.name for thread in threading.enumerate() if 'nst' in thread.name])"
    assert book.run(threads).strip() == "[]"
