"""Checkpoints: arrays and a header of plain settings in one `.npz` file, written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from nst_lib.errors import CheckpointError
from nst_lib.files import DAMAGED, atomic_write

VERSION = 2  # goes up when an older file can no longer be read


def write(path: str | os.PathLike, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Path:
    """Write a header (anything JSON can hold) and arrays. Raises CheckpointError if the disk does not take it."""
    text = json.dumps({"version": VERSION} | header, default=lambda value: value.tolist())  # numpy's numbers and arrays
    with atomic_write(path, CheckpointError) as file:
        np.savez(file, header=np.frombuffer(text.encode(), dtype="uint8"), **arrays)  # type: ignore[arg-type]
    return Path(path)


def read(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays that `write` was given.

    Raises:
        CheckpointError: if the file is missing, damaged, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}. Check the path, or start without one.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        version = header.pop("version")
    except DAMAGED as problem:
        raise CheckpointError(f"{path} is not a checkpoint, or is damaged. Start without it.") from problem
    if "about" in header:
        raise CheckpointError(f"{path} is a style file, not a checkpoint: `nst fast` paints with it. Start without it.")
    if version != VERSION:
        raise CheckpointError(
            f"{path} is a checkpoint of version {version}; this program reads version {VERSION}. Start again without it, or "
            "go on with the program that wrote it."
        )
    return header, arrays
