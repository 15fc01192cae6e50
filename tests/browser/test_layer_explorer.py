"""`layer_explorer` in a browser."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CELL = f"""
from nst_lib.studio import layer_explorer

panel = layer_explorer("{ROOT}/data/content/chelsea_cat.jpg")
panel
"""


def shown(book):
    """What is said to be shown: a layer, a channel, a picture."""
    return book.panel.locator("svg[role=img] image").locator("..").get_attribute("aria-label")


def wait_for_channel(book, channel):
    book.panel.locator(f"svg[aria-label*='channel {channel},']").wait_for()


def test_a_channel_is_chosen_with_the_keyboard_and_saved(notebook, tmp_path):
    book = notebook(CELL)
    book.run_all()
    assert shown(book) == "block4_conv3, channel 98, over chelsea_cat"
    before = book.panel.locator("svg image").get_attribute("href")
    box = book.panel.get_by_label("channel, as a number")
    box.select_text()
    book.page.keyboard.type("11")
    book.page.keyboard.press("Enter")
    wait_for_channel(book, 11)
    assert book.panel.locator("svg image").get_attribute("href") != before
    book.panel.get_by_role("slider", name="channel").press("ArrowRight")
    wait_for_channel(book, 12)

    book.panel.get_by_label("layer").select_option("block2_conv1")
    book.panel.locator("svg[aria-label*='block2_conv1']").wait_for()
    assert book.panel.get_by_role("slider", name="channel").get_attribute("max") == "47"
    assert book.panel.locator("figure").count() == 6
    book.panel.get_by_label("liveliest here").select_option(index=2)
    chosen = book.panel.get_by_label("liveliest here").input_value()
    wait_for_channel(book, chosen)

    book.panel.get_by_role("button", name="Save").click()
    book.panel.get_by_text(f"Saved chelsea_cat_block2_conv1_{chosen}.png: 384 x 255 pixels").wait_for()
    assert (book.lab.folder / f"chelsea_cat_block2_conv1_{chosen}.png").is_file()

    # Accessible, and whole on a narrow page.
    book.check_both_themes()
    book.check_narrow_page()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"")
    book.panel.locator("input[type=file]").set_input_files(broken)
    book.panel.get_by_role("alert").get_by_text("broken.jpg is empty").wait_for()
