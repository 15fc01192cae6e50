"""What every notebook of the course needs: the bundled pictures, and a computing budget."""

import os
from pathlib import Path

import numpy as np

from nst_lib.errors import PictureError, SettingsError, check_choice
from nst_lib.images import load_image


def find_data() -> Path:
    """The repository's folder `data`, from the working directory or one above it. Raises PictureError if there is none."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "data" / "SOURCES.md").is_file():
            return folder / "data"
    raise PictureError(
        f"there is no folder `data` in {here} or above it: open the notebook from the course's repository."
    )


def photograph(name: str, size: int = 256) -> np.ndarray:
    """A bundled photograph by its name, as "chelsea_cat": (h, w, 3) in [0, 1], the long side `size` pixels."""
    return _bundled("content", name, size)


def painting(name: str, size: int = 256) -> np.ndarray:
    """A bundled painting by its name, as "hokusai_great_wave": (h, w, 3) in [0, 1], the long side `size` pixels."""
    return _bundled("style", name, size)


def _bundled(kind: str, name: str, size: int) -> np.ndarray:
    files = {file.stem: file for file in sorted((find_data() / kind).glob("*.jpg"))}
    check_choice("picture", name, tuple(files))
    return load_image(files[name], size)


def budget(amount: float, least: int = 1) -> int:
    """A number of steps or seconds, scaled by the environment's NST_BUDGET: the course's own tests hurry, you need not.

    Raises:
        SettingsError: if NST_BUDGET is no number above 0.
    """
    text = os.environ.get("NST_BUDGET", "1")
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not share > 0:
        raise SettingsError(f"NST_BUDGET is {text!r}: make it a number above 0, 1 for the full computing time.")
    return max(least, round(amount * share))
