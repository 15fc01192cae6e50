"""What the other browser tests stand on: a notebook opens, runs, shows a widget, and says what went wrong."""

import pytest


def test_notebook_runs_and_its_widgets_reach_the_kernel(notebook):
    book = notebook("import ipywidgets\nknob = ipywidgets.IntText(3, description='turns')\nknob", "print(6 * 7)")
    book.run_all()
    assert book.content["cells"][1]["outputs"][0]["text"].strip() == "42"
    book.page.get_by_label("turns").fill("4")
    book.page.keyboard.press("Tab")
    assert book.run("print(knob.value)").strip() == "4"
    book.set_theme(dark=True)
    assert book.page.locator("body").get_attribute("data-jp-theme-light") == "false"


def test_errors_in_cells_and_in_the_kernel_are_failures(notebook):
    book = notebook("1 / 0")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        book.run_all()
    with pytest.raises(AssertionError, match="NameError"):
        book.run("nothing")
