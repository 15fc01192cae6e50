"""The photographs that a style network learns from: cut, mirrored and mixed anew in every batch, without a wait."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps

from nst_lib.errors import PictureError
from nst_lib.images import HEIC, HEIC_HINT, MIN_SIDE, load_image, picture_suffixes, to_pil

SIZE = 256  # pixels: the photographs' short side, and the painting's long side
CROP = 176  # pixels: what is cut out of a photograph; a smaller cut is cheaper, and the style's motifs still fit in
SHIFT = 16  # pixels: the coarsest pooling of the backbone's
BATCH = 4
MAX_PHOTOS = 2000  # all are kept in memory, so that no step waits for the disk: this many take half a gigabyte


class Photos(keras.utils.PyDataset):
    """Random cuts from the photographs of a folder, mirrored at random, each with the number of a style to paint it in.

    The batch depends only on the seed, the `epoch` and its index, so that a resumed training sees what an unbroken one
    would have seen.

    While a step computes, a thread cuts the next batch. `close` ends it and lets go of the photographs: what has trained with
    them, Keras does not forget.

    Attributes:
        found: how many files of pictures' kinds the folder has, of which MAX_PHOTOS are read at most.
        skipped: those that are no pictures.
        hint: what to do about those, if it is known.

    Raises:
        PictureError: if the folder does not exist or has no readable picture.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        n_styles: int,
        steps: int,
        batch: int = BATCH,
        seed: int = 0,
        rows: range | None = None,
        crop: int | None = None,
    ):
        """Of each batch, only the photographs in `rows` are cut; None for all of them. A cut's side is `crop`, or CROP."""
        super().__init__()
        self.crop = crop or CROP
        self.n_styles, self.steps, self.batch, self.seed, self.epoch = n_styles, steps, batch, seed, 0
        self.rows = range(batch) if rows is None else rows
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._ahead = ThreadPoolExecutor(1, "nst-photos")
        self._coming: dict[tuple[int, int], Future] = {}  # batches by epoch and index
        folder = Path(folder)
        if not folder.is_dir():
            raise PictureError(f"{folder} is not a folder. Give one with photographs in it.")
        known = picture_suffixes()
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in known)
        self.found = len(files)
        if len(files) > MAX_PHOTOS:
            chosen = np.random.default_rng(seed).choice(len(files), MAX_PHOTOS, replace=False)
            files = [files[i] for i in sorted(chosen)]
        read = list(self._pool.map(_read_photo, files))
        self.photos = [photo for photo in read if photo is not None]
        self.skipped = [path for path, photo in zip(files, read, strict=True) if photo is None]
        self.hint = f"{HEIC_HINT} " if any(path.suffix.lower() in HEIC for path in self.skipped) else ""
        if not self.photos:
            found = (
                f"none of the {len(files)} pictures in {folder} can be read" if files else f"{folder} has no pictures"
            )
            raise PictureError(
                f"{found}. {self.hint}Give a folder of photographs (JPEG, PNG, WebP); a few hundred are enough."
            )

    def close(self) -> None:
        """End the threads, and forget the photographs."""
        for pool in (self._ahead, self._pool):
            pool.shutdown(cancel_futures=True)
        self._coming, self.photos = {}, []

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        """{"photos": (rows, crop, crop, 3) uint8, "style": (rows,) int32, "shift": (rows, 2) int32}; shifts of up to SHIFT,
        one for the whole batch, in every row."""
        this = self.epoch, index
        after = (self.epoch, index + 1) if index + 1 < self.steps else (self.epoch + 1, 0)
        batches = {place: self._coming.get(place) or self._ahead.submit(self._make, *place) for place in (this, after)}
        self._coming = {after: batches[after]}
        return batches[this].result()

    def _make(self, epoch: int, index: int) -> tuple[dict[str, np.ndarray]]:
        random = np.random.default_rng((self.seed, epoch, index))
        each = styles_per_photo(self.batch, self.n_styles)
        chosen = [self.photos[i] for i in random.integers(len(self.photos), size=self.batch // each)]
        places = [self.place(photo, random, self.crop) for photo in chosen]  # of all, as every worker draws the same
        own = sorted({row // each for row in self.rows})
        cuts = dict(zip(own, self._pool.map(lambda i: self.cut(chosen[i], *places[i], self.crop), own), strict=True))
        photos = np.stack([cuts[row // each] for row in self.rows])
        first = random.integers(self.n_styles)  # the styles take turns, or a batch may hold one of them only
        styles = (first + np.arange(self.batch) * max(1, self.n_styles // self.batch)) % self.n_styles
        shift = random.integers(SHIFT + 1, size=2)
        shifts = np.tile(shift, (len(photos), 1))  # since what is shared among devices needs a row for each photograph
        return ({"photos": photos, "style": styles[self.rows].astype("int32"), "shift": shifts.astype("int32")},)

    @staticmethod
    def place(
        photo: Image.Image, random: np.random.Generator, crop: int = 0
    ) -> tuple[tuple[float, float, float, float], bool]:
        """A square anywhere in a photograph, as (left, top, right, bottom), and whether to mirror it."""
        short = min(photo.size)
        side = random.uniform(min(max(short / 2, 0.7 * crop), short), short)  # seen from nearer or further away
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        return (left, top, left + side, top + side), bool(random.random() < 0.5)

    @staticmethod
    def cut(
        photo: Image.Image, box: tuple[float, float, float, float], mirrored: bool, crop: int | None = None
    ) -> np.ndarray:
        """What of a photograph is in a `place`: (crop, crop, 3), uint8; by default CROP."""
        cut = photo.resize((crop or CROP, crop or CROP), Image.Resampling.BICUBIC, box)
        return np.asarray(ImageOps.mirror(cut) if mirrored else cut)


def styles_per_photo(batch: int, n_styles: int) -> int:
    """In how many styles each cut of a batch is painted, row after row: the judge need look at it only once. In as many as
    come out even, as long as two photographs are in a batch."""
    return max(n for n in range(1, max(1, batch // 2) + 1) if batch % n == n_styles % n == 0)


def _read_photo(path: Path) -> Image.Image | None:
    """A photograph with a short side of SIZE, or None. A JPEG is decoded at a fraction of its size."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIZE, SIZE))
            plain = image.mode in ("RGB", "L") and not image.has_transparency_data and not image.info.get("icc_profile")
            upright = ImageOps.exif_transpose(image).convert("RGB") if plain else to_pil(load_image(image))
    except Exception:  # a damaged file can make a decoder raise anything
        return None
    if min(upright.size) < MIN_SIDE:
        return None
    scale = SIZE / min(upright.size)
    return upright.resize((max(SIZE, round(upright.width * scale)), max(SIZE, round(upright.height * scale))))
