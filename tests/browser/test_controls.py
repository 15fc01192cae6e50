"""The panels' controls in a browser: knobs, the divider, dropped files, text to copy."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CELL = f"""
from nst_lib.images import load_image
from nst_lib.studio.controls import Compare, DropZone, Knob, Snippet, encode, load_file
from nst_lib.studio.panels import Panel

cat = load_image("{ROOT / "data/content/chelsea_cat.jpg"}", 256)
panel = Panel()


zone = DropZone("photograph", lambda name, data: zone.show(name, load_file(name, data)), panel.show_error)
zone.show("chelsea_cat", cat)
weight, scale = Knob("style weight", 1, 0.01, 100, log=True), Knob("scale", 2, 1, 3, step=0.5, continuous=False)
divider = Compare(before=encode(cat), after=encode(1 - cat), alt="a negative cat", names=("photograph", "negative"))
snippet = Snippet(label="the command", text="nst paint me.jpg wave.jpg")
panel.children = [zone, weight, scale, divider, snippet, panel.message]
panel
"""


def wait_until_kernel_says(book, code, expected):
    for _ in range(50):
        if (said := book.run(f"print({code})").strip()) == expected:
            return
        book.page.wait_for_timeout(100)
    assert said == expected


def test_controls(notebook, tmp_path):
    book = notebook(CELL)
    book.run_all()
    page, panel = book.page, book.panel
    # A knob: the slider by keyboard, the box by typing, and both follow the kernel.
    slider, box = panel.get_by_role("slider", name="style weight"), panel.get_by_label("style weight, as a number")
    slider.press("ArrowRight")
    wait_until_kernel_says(book, "weight.value", "1.05")
    box.fill("1e9")
    box.press("Tab")
    wait_until_kernel_says(book, "weight.value", "100.0")
    assert slider.input_value() == "200"
    book.run("weight.value = 0.1; weight.disabled = True")
    page.wait_for_function("box => box.value === '0.1' && box.disabled", arg=box.element_handle())
    assert slider.input_value() == "50"
    panel.get_by_label("scale, as a number").select_text()
    page.keyboard.type("2.5")
    page.keyboard.press("Enter")
    wait_until_kernel_says(book, "scale.value", "2.5")

    # The divider, by keyboard and by mouse.
    divider = panel.get_by_role("slider", name="divider: photograph to its left, negative to its right")
    divider.press("End")
    wait_until_kernel_says(book, "divider.position", "100")
    divider.click()
    wait_until_kernel_says(book, "40 < divider.position < 60", "True")
    assert panel.get_by_alt_text("a negative cat").is_visible()

    # Files: one of several parts, and one that is no picture.
    chooser = panel.locator("input[type=file]")
    chooser.set_input_files(ROOT / "data/style/hokusai_great_wave.jpg")
    panel.get_by_text("hokusai_great_wave.jpg").wait_for()
    large = tmp_path / "large.bmp"
    book.run(f"from nst_lib.images import save_image; save_image(load_image(cat, 1200), {str(large)!r})")
    assert large.stat().st_size > 2**21
    chooser.set_input_files(large)
    panel.get_by_text("large.bmp", exact=True).wait_for()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"not a picture")
    chooser.set_input_files(broken)
    panel.get_by_role("alert").get_by_text("broken.jpg is not a picture of a known kind").wait_for()
    panel.get_by_text("large.bmp", exact=True).wait_for()  # what was there is there still
    huge = tmp_path / "huge.tif"
    with huge.open("wb") as file:
        file.truncate(300_000_000)
    chooser.set_input_files(huge)
    panel.get_by_role("alert").get_by_text("huge.tif has 300 MB: give a picture of less than 100 MB").wait_for()
    panel.get_by_text("large.bmp", exact=True).wait_for()

    panel.get_by_role("button", name="Copy").click()
    panel.get_by_text("copied").wait_for()

    book.check_both_themes()

    # A file that is dropped; and a folder, which comes as a file that cannot be read.
    drop = """async ([zone, bytes]) => {
      const given = new DataTransfer();
      given.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
      zone.dispatchEvent(new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true }));
    }"""
    png = list((ROOT / "docs/gallery/moose_poppies.png").read_bytes())
    book.page.evaluate(drop, [book.panel.locator(".nst-dropzone label").element_handle(), png])
    book.panel.get_by_text("dropped.png").wait_for()
    book.page.evaluate("() => { Blob.prototype.arrayBuffer = () => Promise.reject(new Error('gone')); }")
    book.page.evaluate(drop, [book.panel.locator(".nst-dropzone label").element_handle(), png])
    book.panel.get_by_text("dropped.png cannot be read: drop a picture's file.").wait_for()
