"""Run the notebooks and store their output as it is to be committed: make_notebooks.py [NOTEBOOK ...], by default all.

Each is run from top to bottom in its own folder, in a fresh kernel. What would be dead in a file is then left out: progress
bars and panels (GitHub shows them as errors) and the running Python's version. The repository's address is copied from
pyproject.toml into the set-up cells.
"""

import os
import re
import sys
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def write_address(notebook: nbformat.NotebookNode, address: str) -> None:
    """Put the repository's address where a cell says REPOSITORY = "..."."""
    for cell in notebook.cells:
        cell.source = re.sub(r'^REPOSITORY = ".*?"', f'REPOSITORY = "{address}"', cell.source, flags=re.MULTILINE)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what only a running kernel can show, and what differs from machine to machine."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def main(names: list[str]) -> None:
    # As under nbval: the kernel sends what C++ libraries log to the terminal instead of into the cells.
    os.environ["PYTEST_CURRENT_TEST"] = "make_notebooks"
    address = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    for path in [Path(name) for name in names] or sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")):
        started = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        write_address(notebook, address)
        folder = {"metadata": {"path": str(path.resolve().parent)}}
        NotebookClient(notebook, timeout=600, store_widget_state=False, record_timing=False, resources=folder).execute()
        tidy(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        seconds, size = time.perf_counter() - started, path.stat().st_size / 1000
        print(f"{path.name}: {len(notebook.cells)} cells, {seconds:.0f} s, {size:.0f} KB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
