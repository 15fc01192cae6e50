"""Make the notebooks from their sources, and run them: make_notebooks.py [--text-only] [NAME ...], by default all.

A source, `notebooks/source/NN_name.md`, is a notebook in Jupytext's Markdown. It becomes two notebooks: the lesson, where
the answers to the exercises are left out, and `notebooks/solutions/NN_name.ipynb`, which has the exercises with their
answers, and before them what they need: the cells tagged `keep`. In an exercise,

    def area(radius):
        # solution: return ...
        return 3.14159 * radius**2
        # end

is what the solution has between the two marks, and in the lesson, what stands after the first one's colon.

A cell tagged `solution-only` is left out of the lesson. `<!-- set-up -->` stands for `notebooks/source/set_up.md`.

Each notebook is run from top to bottom in its own folder, in a fresh kernel. What would be dead in a file is then left out:
progress bars and panels (GitHub shows them as errors) and the running Python's version.
"""

import argparse
import copy
import os
import re
import time
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
SOLUTION = re.compile(r"^( *)# solution: (.*)\n((?:.*\n)*?) *# end$", re.MULTILINE)
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def read_source(source: Path) -> nbformat.NotebookNode:
    """A source as a notebook that still has both the exercises and their answers."""
    text = source.read_text(encoding="utf-8")
    set_up = (source.parent / "set_up.md").read_text(encoding="utf-8")
    set_up = set_up.replace('REPOSITORY = ""', f'REPOSITORY = "{ADDRESS}"')
    text = re.sub(r"\n+(## (?:Exercises|Quiz))\n", r"\n\n\n\1\n", text)  # two empty lines: a cell of their own
    notebook = jupytext.reads(text.replace("<!-- set-up -->\n", badges(source.stem) + set_up), fmt="md")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = cell.metadata.pop("id", f"{cell.cell_type}-{number}")
    return notebook


def badges(name: str) -> str:
    """A line that leads to the notebook on Colab and Binder. Text, because pictures from the network fail without it."""
    repository, _, folder = ADDRESS.removeprefix("https://github.com/").partition("/tree/main/")
    path = f"{folder}/notebooks/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{path}"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/{path}"
    return f"*The same on* [Colab]({colab}) *or* [Binder]({binder}).\n\n"


def make_lesson(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as the reader gets it: with gaps."""
    lesson = copy.deepcopy(notebook)
    lesson.cells = [cell for cell in lesson.cells if "solution-only" not in cell.metadata.get("tags", [])]
    for cell in lesson.cells:
        cell.source = SOLUTION.sub(r"\1\2", cell.source)
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "keep"]
        cell.metadata = {"tags": tags} if tags else {}
    return lesson


def make_solutions(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode | None:
    """The exercises with their answers, after the cells that they need; None for a notebook without exercises."""
    solutions = copy.deepcopy(notebook)
    title = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    intro = f"# {title}: solutions\n\nThe exercises of [the lesson](../{name}.ipynb), answered. Try them first."
    cells, inside = [nbformat.v4.new_markdown_cell(intro, id="title")], False
    for cell in solutions.cells:
        heading = re.search(r"^## (.*)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if heading:
            inside = heading[1] == "Exercises"
        if cell.id == "set-up":
            cell.source = cell.source.replace('"notebooks")', '"notebooks/solutions")')
        if inside or cell.id == "set-up" or "keep" in cell.metadata.get("tags", []):
            if cell.cell_type == "code":
                cell.source = SOLUTION.sub(lambda match: match[3].rstrip("\n"), cell.source)
            else:
                cell.source = re.sub(r"\]\((?!https?:|#)", "](../", cell.source)
            tags = [tag for tag in cell.metadata.get("tags", []) if tag not in ("keep", "solution-only")]
            cell.metadata = {"tags": tags} if tags else {}
            cells.append(cell)
    solutions.cells = cells
    return solutions if any(SOLUTION.search(cell.source) for cell in notebook.cells) else None


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run a notebook, and leave out what only a running kernel can show, and what differs from machine to machine."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=900, store_widget_state=False, record_timing=False, resources=resources).execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]


def keep_outputs(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Give the cells whose code is as it was the outputs that they have in `path`."""
    old = nbformat.read(path, as_version=4).cells if path.is_file() else []
    known = {(cell.id, cell.source): cell for cell in old if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if before := known.get((cell.id, cell.source)):
                cell.outputs, cell.execution_count = before.outputs, before.execution_count
            else:
                print(f"{path.name}: the cell {cell.id} has changed, and is now without its output", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="such as 03_style_gram, or 03 (default: all)")
    parser.add_argument(
        "--text-only", action="store_true", help="do not run them: only the text has changed, or is to be looked at"
    )
    options = parser.parse_args()
    # As under nbval: the kernel sends what C++ libraries log to the terminal instead of into the cells.
    os.environ["PYTEST_CURRENT_TEST"] = "make_notebooks"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sources = sorted((NOTEBOOKS / "source").glob("[0-9]*.md"))
    for source in sources:
        if options.names and not any(source.stem.startswith(Path(name).stem) for name in options.names):
            continue
        notebook = read_source(source)
        made = {
            NOTEBOOKS / f"{source.stem}.ipynb": make_lesson(notebook),
            NOTEBOOKS / "solutions" / f"{source.stem}.ipynb": make_solutions(notebook, source.stem),
        }
        for path, result in made.items():
            if result is None:
                continue
            path.parent.mkdir(exist_ok=True)
            started = time.perf_counter()
            if options.text_only:
                keep_outputs(result, path)
            else:
                run(result, path.parent)
            nbformat.validate(result)
            nbformat.write(result, path)
            seconds, size = time.perf_counter() - started, path.stat().st_size / 1000
            print(
                f"{path.relative_to(NOTEBOOKS)}: {len(result.cells)} cells, {seconds:.0f} s, {size:.0f} KB", flush=True
            )


if __name__ == "__main__":
    main()
