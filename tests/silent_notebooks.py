"""`pytest -p tests.silent_notebooks --nbval notebooks`: no cell may write to stderr, whether its output is compared or not."""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # Kernels are started now. In one that finds this set, what C++ libraries log would not reach the cells, as it does in Jupyter.
    os.environ.pop("PYTEST_CURRENT_TEST", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    noise = "".join(output.text for output in item.test_outputs if output.get("name") == "stderr")
    assert not noise, f"written to stderr by the cell\n{item.cell.source}\n\n{noise}"
    return result
