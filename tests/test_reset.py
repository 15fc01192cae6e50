"""`make reset`: untouched notebooks again, and the reader's own kept."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools/reset_notebooks.py"


@pytest.fixture
def course(tmp_path):
    """A small repository with the tool and two notebooks, one of them a folder deeper."""
    if not shutil.which("git"):
        pytest.skip("needs git")
    for name, text in {"tools/reset_notebooks.py": TOOL.read_text(), "notebooks/00_a.ipynb": "as it was",
                       "notebooks/solutions/00_a.ipynb": "solved"}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def reset(course):
    return subprocess.run([sys.executable, "tools/reset_notebooks.py"], cwd=course, capture_output=True, text=True)


def test_nothing_changed(course):
    assert reset(course).stdout == "The notebooks are as they were.\n"
    assert not (course / "out").exists()


def test_changed_and_deleted_notebooks_come_back_and_the_readers_is_kept(course):
    (course / "notebooks/00_a.ipynb").write_text("mine")
    (course / "notebooks/solutions/00_a.ipynb").unlink()
    (course / "notebooks/my_own.ipynb").write_text("untouched")
    done = reset(course)
    assert done.returncode == 0 and "Restored: 00_a.ipynb" in done.stdout
    assert (course / "notebooks/00_a.ipynb").read_text() == "as it was"
    assert (course / "notebooks/solutions/00_a.ipynb").read_text() == "solved"
    assert (course / "notebooks/my_own.ipynb").read_text() == "untouched"
    (kept,) = (course / "out").rglob("*.ipynb")
    assert kept.read_text() == "mine"


def test_without_git_it_says_so(course):
    shutil.rmtree(course / ".git")
    done = reset(course)
    assert done.returncode == 1 and "git clone" in done.stderr
