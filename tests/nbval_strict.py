"""What the notebooks' tests ask besides nbval: what is not compared must pass its checks, too, and in silence."""

import os
import re

import pytest
from nbval.plugin import IPyNbFile


def pytest_configure():
    start_kernel = IPyNbFile.setup

    def setup(self):
        # A kernel that finds this set would not show in its cells what C++ libraries log, as it does in Jupyter.
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        start_kernel(self)

    IPyNbFile.setup = setup


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    noise = "".join(output.text for output in item.test_outputs if output.get("name") == "stderr")
    assert not noise, f"written to stderr by the cell\n{item.cell.source}\n\n{noise}"
    assert marks(item.cell, item.test_outputs) == marks(item.cell, item.cell.outputs), (
        f"by the cell\n{item.cell.source}"
    )
    return result


def marks(cell, outputs):
    """What the checks of a cell printed: the first character of each line; nothing if it has none."""
    if not re.search(r"^check\.", cell.source, re.MULTILINE):
        return []
    text = "".join(output.get("text", "") for output in outputs)
    return [line[0] for line in text.splitlines() if line.startswith(("…", "✗", "✓"))]
