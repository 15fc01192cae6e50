"""What panels paint from: files, bundled pictures by their names, arrays, and files dropped on them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_lib.course import find_data
from nst_lib.errors import PictureError, check_choice
from nst_lib.files import atomic_write, free_path
from nst_lib.images import load_image
from nst_lib.studio.controls import encode, load_file
from nst_lib.studio.panels import output_folder


@dataclass(eq=False)
class Source:
    """A picture to paint from.

    Attributes:
        name: for the reader.
        given: what `load_image` takes.
        file: where it is, for commands; where it will be, if it is not `on_disk` yet.
    """

    name: str
    given: Any
    file: str
    on_disk: bool

    def load(self, size: int | None = None) -> np.ndarray:
        """The picture (h, w, 3), its long side of `size`. Raises PictureError, with the name of a file that was dropped."""
        if isinstance(self.given, bytes):
            return load_file(Path(self.file).name, self.given, size)
        return load_image(self.given, size)

    def write(self) -> None:
        """Write the picture where its file is to be, or beside another one that has taken the name since.

        Raises PictureError.
        """
        data = self.given if isinstance(self.given, bytes) else encode(load_image(self.given), "PNG")
        path = Path(self.file)
        if not (path.is_file() and path.read_bytes() == data):
            path = free_path(path)
            with atomic_write(path, PictureError) as file:
                file.write(data)
        self.file, self.on_disk = str(path), True


def dropped(name: str, data: bytes) -> Source:
    """A file that was dropped on a panel. Whether it is a picture, `load` finds out. It replaces no other of its name."""
    path = output_folder() / Path(name).name
    there = path.is_file() and path.read_bytes() == data
    return Source(Path(name).stem, data, str(path if there else free_path(path)), on_disk=there)


def find_source(given: Any, kind: str) -> Source:
    """A file, a bundled picture's name (of the `kind` content or style), or an array, as a Source.

    Raises:
        PictureError, SettingsError: for what is none of them.
    """
    if isinstance(given, (str, os.PathLike)):
        path = Path(given)
        if not path.suffix and not path.exists():
            files = {file.stem: file for file in sorted((find_data() / kind).glob("*.jpg"))}
            check_choice("picture", str(given), tuple(files))
            path = Path(os.path.relpath(files[str(given)]))
        return Source(path.stem, path, str(path), on_disk=True)
    pixels = np.rint(load_image(given) * 255).astype("uint8")  # as it will be in its file
    return Source(kind, pixels, str(output_folder() / f"{kind}.png"), on_disk=False)
