"""Pictures in and out: any file that Pillow reads becomes one kind of array, and a bad one becomes one kind of error.

A picture is a float32 array (height, width, 3), RGB in the sRGB colour space, from 0 to 1.
"""

import difflib
import io
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from nst_lib.errors import PictureError, SettingsError
from nst_lib.files import atomic_write

MIN_SIDE = 32  # pixels: below this, the deeper layers of a VGG have nothing left to look at
MAX_PIXELS = 100_000_000  # a float32 picture of this size fills 1.2 GB
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
HEIC = (".heic", ".heif")  # what iPhones write and Pillow does not read
HEIC_HINT = "HEIC cannot be read here: export it as JPEG."
_SRGB = ImageCms.createProfile("sRGB")
_TURNS = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_limit_lock = threading.Lock()


def load_image(source: Any, size: int | None = None, *, max_pixels: int | None = MAX_PIXELS) -> np.ndarray:
    """Return any picture as a float32 array (height, width, 3), RGB (sRGB), in [0, 1].

    `source` is a path, the bytes of a file, a PIL image, or an array (height, width), (h, w, 1), (h, w, 3) or
    (h, w, 4): uint8, uint16, bool, or floats in [0, 1]. Turned by its EXIF orientation, converted from its colour
    profile, laid on white where transparent; of an animation, the first frame.

    `size` is the long side in pixels, the aspect ratio being kept; None keeps the size. Files and PIL images of more
    than `max_pixels` (None: no limit) are refused before they are decoded.

    Raises PictureError (unreadable, damaged, not a picture, a side below 32 pixels now or after resizing) and
    SettingsError (`size` not a whole number from 32).
    """
    if size is not None:
        _check_sides(size)
    picture, _ = _load(source, size, max_pixels)
    return picture if size is None else resize(picture, size)


def load_reduced(path: str | os.PathLike[str], short: int, long: int) -> np.ndarray:
    """A picture file as `load_image` gives it, but small: with sides of at most `short` and `long` pixels, or more where its
    short side would be below 32. A JPEG is decoded at a fraction of its size, which takes a fraction of the time.

    Raises PictureError as `load_image`.
    """

    def least(width: int, height: int) -> tuple[int, int]:
        scale = max(min(short / min(width, height), long / max(width, height)), MIN_SIDE / min(width, height))
        return math.ceil(width * min(scale, 1)), math.ceil(height * min(scale, 1))

    with _open_file(Path(path)) as file:
        picture, _ = _decode(file, str(path), None, MAX_PIXELS, least)
    width, height = least(picture.shape[1], picture.shape[0])
    return resize(picture, (height, width))


def load_with_opacity(source: Any, *, max_pixels: int | None = MAX_PIXELS) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture as `load_image` gives it, and its opacity (height, width) in [0, 1]; None if it has none.

    Raises PictureError as `load_image`.
    """
    return _load(source, None, max_pixels)


def resize(picture: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize a picture (height, width, 3) to a long side of `size` pixels, or to exactly (height, width).

    Antialiased (Lanczos) on the float values, clipped to [0, 1]; the same array comes back if it has that size.
    Raises PictureError if it is no picture or too long and thin to keep a short side of 32, SettingsError for sides
    that are not whole numbers from 32 or too large.
    """
    picture = check_picture(picture)
    if isinstance(size, (tuple, list)) and len(size) == 2:
        height, width = size
    else:
        _check_sides(size)
        height, width = _fitted(picture.shape, size, "the picture")
    return _resample(picture, height, width, (0, 0, picture.shape[1], picture.shape[0]))


def crop_to_fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut the largest centred part with the aspect ratio of (height, width) out of a picture, resized to that size.

    Raises PictureError if it is no picture, SettingsError for sides that are not whole numbers from 32 or too large.
    """
    picture = check_picture(picture)
    _check_sides(height, width)
    old_height, old_width = picture.shape[:2]
    scale = min(old_height / height, old_width / width)
    cut_height, cut_width = min(height * scale, old_height), min(width * scale, old_width)
    left, top = (old_width - cut_width) / 2, (old_height - cut_height) / 2
    return _resample(picture, height, width, (left, top, left + cut_width, top + cut_height))


def save_image(picture: np.ndarray, path: str | os.PathLike[str], *, quality: int = 95) -> Path:
    """Write a picture to `path`, whole or not at all, in the format of its suffix (see FORMATS); return the path.

    8 bits per channel, tagged as sRGB (BMP cannot be). `quality`, 1 to 100, is for JPEG and WebP. Folders are not made.
    Raises PictureError (not a picture, unknown suffix, cannot be written) and SettingsError (`quality`).
    """
    path = Path(path)
    image = to_pil(picture)
    if path.suffix.lower() not in FORMATS:
        raise PictureError(f"cannot write {path}: the suffix {path.suffix!r} is not one of {', '.join(FORMATS)}.")
    if isinstance(quality, bool) or not isinstance(quality, (int, np.integer)) or not 1 <= quality <= 100:
        raise SettingsError(f"quality={quality!r}: expected a whole number from 1 to 100.")
    file_format = FORMATS[path.suffix.lower()]
    lossy: dict[str, Any] = {"quality": int(quality), "subsampling": "4:4:4"} if file_format in ("JPEG", "WEBP") else {}
    profile = ImageCms.ImageCmsProfile(_SRGB).tobytes()
    profile = profile[:24] + bytes(12) + profile[36:]  # without the time of day: equal pictures make equal files
    encoded = io.BytesIO()
    try:
        image.save(encoded, file_format, icc_profile=profile, **lossy)
    except (OSError, ValueError, KeyError) as problem:
        what = f"{image.width} x {image.height} pixels as {file_format}"
        raise PictureError(f"cannot write {path}, {what}: {problem}. Try .png, or a smaller picture.") from problem
    with atomic_write(path, PictureError) as file:
        file.write(encoded.getbuffer())
    return path


def picture_suffixes() -> set[str]:
    """The suffixes, such as ".jpg", of what Pillow reads: not of what it writes only, as PDF, nor of films. Also HEIC's, so
    that in a folder it is told, not passed over."""
    kinds = Image.registered_extensions()
    return {*HEIC, *(suffix for suffix, kind in kinds.items() if kind in Image.OPEN and kind != "MPEG")}


def check_format(path: str | os.PathLike[str]) -> None:
    """Raise SettingsError unless a file of this name can be a picture that `save_image` writes."""
    if Path(path).suffix.lower() not in FORMATS:
        raise SettingsError(f"cannot write {path}: a picture's name ends in one of {', '.join(FORMATS)}.")


def to_pil(picture: np.ndarray) -> Image.Image:
    """Return a picture as an 8-bit RGB PIL image, each value rounded to the nearest. Raises PictureError."""
    return Image.fromarray(np.rint(check_picture(picture) * 255).astype(np.uint8))


def check_picture(picture: np.ndarray, name: str = "picture") -> np.ndarray:
    """Return `picture` as a contiguous float32 array, copied only if need be.

    Raises PictureError, beginning with `name`, if it is not floats of shape (height, width, 3) from 0 to 1.
    """
    array = np.asarray(picture) if hasattr(picture, "__array__") else None
    if array is None or array.dtype.kind != "f" or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        received = type(picture).__name__ if array is None else f"{array.dtype} of shape {array.shape}"
        raise PictureError(f"{name} is {received}: expected floats (height, width, 3) in [0, 1], as load_image gives.")
    return np.ascontiguousarray(_check_range(array, name))


def same_shape(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether pictures of these (height, width, ...) can be one at two sizes, whose sides were rounded to whole pixels."""
    (height, width), (other_height, other_width) = shape[:2], other[:2]
    return abs(height * other_width - width * other_height) <= 1.5 * max(height, width, other_height, other_width)


def _load(source: Any, size: int | None, max_pixels: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture at its own size, from which it can be brought to `size`, and its opacity or None."""
    if isinstance(source, Image.Image):
        return _decode(source, "the given image", size, max_pixels)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(io.BytesIO(source), "the file in the given bytes", size, max_pixels)
    if isinstance(source, (str, os.PathLike)):
        with _open_file(Path(source)) as file:
            return _decode(file, str(source), size, max_pixels)
    if hasattr(source, "__array__"):  # numpy, and the tensors of TensorFlow, JAX and PyTorch
        picture, opacity = _from_array(_as_numpy(source), "the given array")
        _fitted(picture.shape, size, "the given array")
        return picture, opacity
    raise PictureError(f"a picture cannot be a {type(source).__name__}: give a path, bytes, a PIL image or an array.")


def _open_file(path: Path) -> IO[bytes]:
    if os.path.isdir(path):
        raise PictureError(f"{path} is a folder. Give the name of a picture inside it.")
    try:
        return path.open("rb")
    except FileNotFoundError as problem:
        if not os.path.isdir(path.parent):
            raise PictureError(f"{path} does not exist, nor does its folder. Check the spelling.") from problem
        names = {name.lower(): name for name in os.listdir(path.parent)} if os.access(path.parent, os.R_OK) else {}
        near = " or ".join(names[match] for match in difflib.get_close_matches(path.name.lower(), names))
        hint = f"Did you mean {near}?" if near else "Check the spelling."
        raise PictureError(f"{path} does not exist. {hint}") from problem
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        reason = getattr(problem, "strerror", None) or problem
        raise PictureError(f"{path} cannot be opened: {reason}. Check its permissions, or copy it.") from problem


def _decode(
    source: IO[bytes] | Image.Image,
    name: str,
    size: int | None,
    max_pixels: int | None,
    least: Callable[[int, int], tuple[int, int]] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    try:
        if isinstance(source, Image.Image):
            image = source
        elif source.read(1):
            with _pixel_limit(max_pixels):
                image = Image.open(source)
        else:
            raise PictureError(f"{name} is empty (0 bytes). Copy or download it again.")
        pixels = image.width * image.height
        if max_pixels is not None and pixels > max_pixels:
            raise Image.DecompressionBombError
        _fitted((image.height, image.width), size, name)
        if least:  # the width and height that suffice
            image.draft(image.mode, least(image.width, image.height))
        large = pixels > (Image.MAX_IMAGE_PIXELS or math.inf)  # some decoders ask Pillow's limit once more
        with _pixel_limit(max_pixels) if large else nullcontext():
            image.load()
        return _from_array(_pixels(image), name)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise PictureError(
            f"{name} has more than {max_pixels:,} pixels, too many for most memories. Make it smaller, or raise the "
            "limit: load_image(..., max_pixels=...), None for no limit; `nst paint` and `nst fast` take --max-pixels."
        ) from problem
    except UnidentifiedImageError as problem:
        if name.lower().endswith(HEIC):
            raise PictureError(f"{name}: {HEIC_HINT}") from problem
        raise PictureError(
            f"{name} is not a picture of a known kind, whatever it is called, or its beginning is damaged. "
            "Open it in another program and save it as PNG or JPEG."
        ) from problem
    except Exception as problem:  # a damaged file can make a decoder raise anything
        what = "ends too early" if "truncated" in str(problem).lower() else "is damaged or of an unsupported kind"
        reason = str(problem) or type(problem).__name__
        raise PictureError(
            f"{name} {what} ({reason}). Copy or download it again, or save it as PNG in another program."
        ) from problem


@contextmanager
def _pixel_limit(max_pixels: int | None) -> Iterator[None]:
    # Pillow's limit is one variable for the whole process: set it for a moment, one thread at a time.
    with _limit_lock, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _pixels(image: Image.Image) -> np.ndarray:
    """The pixels of any mode, upright and in sRGB, as an array that `_from_array` takes."""
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # metadata that cannot be read is no reason to refuse the picture
        turn = None
    image = image if turn is None else image.transpose(turn)
    if image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "I":  # 32 bits wide, but what comes in it is 16-bit PNG
        return np.asarray(image) / 65535
    if image.mode == "F":  # no standard says what white is: take the smallest customary value that fits
        values = np.asarray(image)
        return values / next((white for white in (1, 255, 65535) if values.max() <= white), 1)
    rgba = image.convert("RGBA") if image.has_transparency_data else None
    rgb = image if image.mode == "RGB" else (rgba or image).convert("RGB")
    if profile := image.info.get("icc_profile"):
        grey = image.mode in ("1", "L", "LA") and _to_srgb(profile, "L")
        inks = image if image.mode == "CMYK" else image.convert("L") if grey else rgb
        if transform := _to_srgb(profile, inks.mode):
            rgb = transform.apply(inks)
    if rgba:
        rgb = rgb.copy() if rgb is image else rgb  # not the caller's
        rgb.putalpha(rgba.getchannel("A"))
    return np.asarray(rgb)


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What converts pixels of a mode from an embedded colour profile.

    None where it would change no colour by more than one of 255 levels, as with what browsers write; and where the profile
    is broken or of another colour space: every viewer shows such a picture without it.
    """
    try:
        transform = ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), _SRGB, mode, "RGB")
        levels = np.arange(0, 256, 15, dtype="uint8")
        chart = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(len(levels), -1, 3)
        change = np.asarray(transform.apply(Image.fromarray(chart))) - chart.astype(int) if mode == "RGB" else np.inf
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if np.abs(change).max() <= 1 else transform


def _as_numpy(source: Any) -> np.ndarray:
    """An array or tensor as NumPy's. PyTorch's say no if they have a gradient, are on a GPU, or are of a kind of its own."""
    try:
        if hasattr(source, "detach"):
            source = source.detach().cpu()
            source = source.float() if source.is_floating_point() else source
        array = np.asarray(source)
    except (TypeError, RuntimeError, ValueError) as problem:
        raise PictureError(f"the given array cannot be read: {problem} Give a NumPy array.") from problem
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _from_array(array: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    pixels = array[..., None] if array.ndim == 2 else array
    number = array.dtype.kind in "bf" or (array.dtype.kind == "u" and array.dtype.itemsize <= 2)
    if not number or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.size == 0:
        raise PictureError(
            f"{name} is {array.dtype} of shape {array.shape}: expected uint8, uint16, bool or floats in [0, 1], "
            "(height, width) with no, 1, 3 or 4 channels."
        )
    if array.dtype.kind == "u":
        pixels = np.divide(pixels, np.iinfo(array.dtype).max, dtype=np.float32)
    pixels = _check_range(pixels, name)
    opacity = None
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:]
        pixels, opacity = pixels[..., :3] * alpha + (1 - alpha), alpha[..., 0]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), opacity


def _check_range(array: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # also true of NaN
        raise PictureError(
            f"{name} has values from {low:g} to {high:g}: expected 0 to 1, no NaN. Divide by 255, or use numpy.clip."
        )
    return array


def _check_sides(*sides: Any) -> None:
    for side in sides:
        if isinstance(side, bool) or not isinstance(side, (int, np.integer)) or side < MIN_SIDE:
            raise SettingsError(f"a side of {side!r} pixels: expected a whole number, {MIN_SIDE} or more.")


def _fitted(shape: tuple[int, ...], size: int | None, name: str) -> tuple[int, int]:
    """The (height, width) with a long side of `size`, if both old and new are large enough."""
    height, width = shape[:2]
    short, long = sorted((height, width))
    what = f"{name} is {width} x {height} pixels"
    if short < MIN_SIDE:
        raise PictureError(f"{what}: each side needs at least {MIN_SIDE}. Take a larger picture.")
    if size is None:
        return height, width
    new_short = round(short * size / long)
    if new_short < MIN_SIDE:
        raise PictureError(
            f"{what}: with a long side of {size} its short side would have {new_short}, less than {MIN_SIDE}. "
            f"Crop it, or use a size of at least {math.ceil(MIN_SIDE * long / short)}."
        )
    return (new_short, size) if height < width else (size, new_short)


def _resample(picture: np.ndarray, height: int, width: int, box: tuple[float, float, float, float]) -> np.ndarray:
    _check_sides(height, width)
    if int(height) * int(width) > MAX_PIXELS:
        raise SettingsError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}, too many for most memories.")
    if (height, width) == picture.shape[:2]:
        return picture
    channels = [Image.fromarray(picture[..., channel]) for channel in range(3)]
    resized = [np.asarray(channel.resize((width, height), Image.Resampling.LANCZOS, box)) for channel in channels]
    return np.clip(np.stack(resized, axis=-1), 0, 1)
