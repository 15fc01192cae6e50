"""The notebooks as committed: small, executed, nobody's paths, no dead links. What runs them is in nbval_strict.py."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    pytest.skip("notebooks are run with TensorFlow, which they explain", allow_module_level=True)

nbformat = pytest.importorskip("nbformat", reason="notebooks come with the extra course")
nbclient = pytest.importorskip("nbclient", reason="notebooks are run with nbclient, of the extra test")
pytest.importorskip("ipywidgets", reason="notebooks come with the extra course")
pytest.importorskip("jupytext", reason="notebooks are made with jupytext, of the extra test")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from make_notebooks import make_lesson, make_solutions, read_source  # noqa: E402
from nbval_strict import marks  # noqa: E402

from nst_lib.engine import start_engine  # noqa: E402

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("[0-9]*.ipynb"))
SIZE_LIMIT = 400_000  # bytes, so that GitHub shows them
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users|tmp|mnt|usr|opt)/\w|[A-Z]:\\\\Users")
CREDITS = {  # of the photographs whose licence asks for them
    "china_temple": "danielbuechele, CC BY 2.0; modified",
    "dahlia_flower": "vultilion, CC BY 2.0; modified",
    "eilean_donan_castle": "Guillaume Piolle, CC BY 4.0",
}


@pytest.fixture(params=LESSONS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return request.param, nbformat.read(request.param, as_version=4)


@pytest.fixture(params=SOLUTIONS, ids=lambda path: path.stem)
def solutions(request):
    return request.param, nbformat.read(request.param, as_version=4)


def all_marks(notebook):
    return [mark for cell in code_cells(notebook) for mark in marks(cell, cell.outputs)]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def cell_named(notebook, name):
    return next(cell for cell in notebook.cells if cell.id == name)


def test_every_source_has_its_notebooks():
    sources = sorted(path.stem for path in (ROOT / "notebooks/source").glob("[0-9]*.md"))
    assert sources and sources == [path.stem for path in LESSONS] == [path.stem for path in SOLUTIONS]


def test_committed_notebooks_are_those_of_their_source(lesson):
    path, notebook = lesson
    source = read_source(ROOT / "notebooks/source" / f"{path.stem}.md")
    pairs = [
        (notebook, make_lesson(source)),
        (nbformat.read(ROOT / "notebooks/solutions" / path.name, as_version=4), make_solutions(source, path.stem)),
    ]
    for committed, made in pairs:
        for old, new in zip(committed.cells, made.cells, strict=True):
            assert (old.id, old.source) == (new.id, new.source), "run `make notebooks`"


def test_checks_wait_in_the_lesson_and_pass_in_the_solutions(lesson):
    path, notebook = lesson
    answered = nbformat.read(ROOT / "notebooks/solutions" / path.name, as_version=4)
    assert set(all_marks(notebook)) == {"…"} and set(all_marks(answered)) == {"✓"}
    assert len(all_marks(notebook)) == len(all_marks(answered)) >= 4


def test_photographers_are_named(path, notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    for name, credit in CREDITS.items():
        if f'"{name}"' in text and path in LESSONS:
            assert credit in " ".join(text.split()), f"{name}: {credit}"


def test_committed_notebook_is_valid_small_and_of_no_machine(path, notebook):
    nbformat.validate(notebook)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size <= SIZE_LIMIT, f"{path.stat().st_size} bytes: make the figures smaller"
    pictures = re.compile(r'"image/\w+": "[^"]*"')
    assert not MACHINE_PATHS.search(pictures.sub("", text)), MACHINE_PATHS.search(pictures.sub("", text))
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata, "widget state: GitHub refuses to show it. Run `make notebooks`."


def test_committed_notebook_is_executed(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", f"{cell.id}: {output.get('evalue')}"
            assert output.get("name") != "stderr", f"{cell.id}: {output.text}"
            assert not any("widget" in kind for kind in output.get("data", {})), f"{cell.id}: dead without its kernel"
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    assert output.metadata[kind]["alt"].strip(), f"{cell.id}: a picture needs alt text"


def test_widgets_and_progress_bars_are_not_compared(notebook):
    for cell in code_cells(notebook):
        if re.search(r"stylize\(|tqdm\(|widgets\.|film\(", cell.source):
            assert "nbval-ignore-output" in cell.metadata.get("tags", []), cell.id


def test_cells_are_short_and_parse(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 30, cell.id
        compile(cell.source, cell.id, "exec")


def test_headings_are_there(lesson):
    path, notebook = lesson
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} · ")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert headings[0] == "Set-up" and headings[-3:] == ["Exercises", "Quiz", "Where to go next"]
    folded = re.findall(r"<details><summary>(\w+)</summary>", text)
    assert folded.count("Answer") == 5, "a quiz of five questions with folded answers"
    assert 4 <= folded.count("Hint") <= 6, "a hint for each exercise"
    assert len(folded) == text.count("</details>")


def test_links_lead_somewhere(path, notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)\s]+)\)", cell.source):
                if not re.match(r"https?:|#", target):
                    assert (path.parent / target.split("#")[0]).exists(), f"{cell.id}: {target}"


def test_address_is_that_of_pyproject(notebook):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (address,) = re.findall(r'^REPOSITORY = "(.*)"', cell_named(notebook, "set-up").source, flags=re.MULTILINE)
    assert address == project["urls"]["Repository"], "run `make notebooks`, which writes it"


def test_set_up_does_nothing_at_home(notebook, monkeypatch):
    start_engine()  # now, for Keras itself runs commands when it is imported
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it ran a command"))
    before = os.getcwd()
    exec(cell_named(notebook, "set-up").source, {})
    assert os.getcwd() == before


@pytest.mark.parametrize("gpu", [False, True], ids=["no GPU", "GPU"])
def test_set_up_on_colab_leaves_numpy_and_the_engine_alone(gpu, path, notebook, monkeypatch, tmp_path):
    """With a made-up Colab: a folder for /content, and a git and a pip that only note what they were asked to do."""
    start_engine()
    commands, installed = [], []

    def command(words, check):
        assert check
        commands.append(words)
        if words[0] == "git":
            (Path(words[-1]) / "Introduction-to-style-transferring" / "notebooks/solutions").mkdir(parents=True)
        elif "pip" in words:
            installed.append(words[-1])

    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr("shutil.which", lambda name: "/bin/nvidia-smi" if gpu else None)
    monkeypatch.setenv("NST_BACKBONE", "pocket")
    monkeypatch.setattr(subprocess, "run", command)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed or None)
    source = cell_named(notebook, "set-up").source.replace("/content", tmp_path.as_posix())
    address = 'REPOSITORY = "https://host/a/b/tree/main/Introduction-to-style-transferring"'
    source = re.sub('^REPOSITORY = ".*"', address, source, flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time must change nothing
        exec(source, {})
        folder = "notebooks/solutions" if path in SOLUTIONS else "notebooks"
        assert Path.cwd() == tmp_path / "nst_course/Introduction-to-style-transferring" / folder
    git, pip, *fetch = commands
    assert [words[-2:] for words in fetch] == [["fetch", "vgg19"]] * (2 if gpu else 0)
    assert os.environ["NST_BACKBONE"] == ("vgg19" if gpu else "pocket")
    assert git[1] == "clone" and git[-2] == "https://host/a/b"
    assert "--no-deps" in pip and "--upgrade" not in pip and not {"numpy", "tensorflow", "keras"} & set(pip)
    assert Path(pip[-1]) == tmp_path / "nst_course/Introduction-to-style-transferring"


@pytest.mark.slow
def test_upload_takes_pictures_and_names_what_is_none(monkeypatch):
    """A reader without a mouse: the panel is given files as the browser would."""
    path = ROOT / "notebooks/00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    tried = """
import io, json
from PIL import Image as Pillow

def send(name, content):
    upload.value = ({"name": name, "type": "image/jpeg", "size": len(content), "content": memoryview(content),
                     "last_modified": __import__("datetime").datetime(2022, 5, 15)},)
    return message.value, sitter.shape

bundled, encoded = sitter.shape, io.BytesIO()
Pillow.new("RGB", (300, 600), "teal").save(encoded, "PNG")
good = encoded.getvalue()
print(json.dumps([bundled, send("<b>.jpg", b"no picture"), send("cut.png", good[:300]), send("me.png", good)]))
"""
    wanted = [cell for cell in notebook.cells if cell.id in ("set-up", "pictures", "upload")]
    notebook.cells = [*wanted, nbformat.v4.new_code_cell(tried, id="tried")]
    monkeypatch.setenv("NST_BUDGET", "0.1")
    resources = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    bundled, text, cut, good = json.loads(notebook.cells[-1].outputs[-1].text)
    assert "&lt;b&gt;.jpg is not a picture of a known kind" in text[0] and text[1] == bundled
    assert "cut.png" in cut[0] and "Not this one" in cut[0] and cut[1] == bundled
    assert "me.png is here" in good[0] and good[1] == [512, 256, 3]
