"""Every way a picture can come, good and bad, against values worked out here and not by the code under test."""

import errno
import io
import os
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from nst_lib import images
from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import MIN_SIDE, check_picture, crop_to_fit, load_image, load_reduced, resize, save_image, to_pil

HALF_STEP = 0.5 / 255 + 1e-6
few = settings(max_examples=40, deadline=None)


def noise(height: int = 40, width: int = 48, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A random uint8 array (height, width, channels), or (height, width) for no channels."""
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def flat(mode: str, color) -> Image.Image:
    return Image.new(mode, (40, 40), color)


def raw_png(bits: int, color_type: int, rows: bytes, *chunks: bytes, side: int = 32) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(data: bytes) -> bytes:
        return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))

    header = b"IHDR" + struct.pack(">2I5B", side, side, bits, color_type, 0, 0, 0)
    parts = (header, *chunks, b"IDAT" + zlib.compress(rows), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(part) for part in parts)


def assert_picture(picture, height: int, width: int) -> None:
    assert type(picture) is np.ndarray and picture.dtype == np.float32
    assert picture.shape == (height, width, 3) and picture.flags.c_contiguous
    assert picture.min() >= 0 and picture.max() <= 1


def assert_color(picture: np.ndarray, *color: float, within: float = 1e-6) -> None:
    assert_picture(picture, *picture.shape[:2])
    np.testing.assert_allclose(picture[0, 0], color, rtol=0, atol=within)
    np.testing.assert_allclose(picture, np.broadcast_to(picture[0, 0], picture.shape), rtol=0, atol=within)


# ---- where a picture comes from


def test_path_string_bytes_image_and_array_give_the_same_picture(tmp_path):
    pixels = noise()
    path = tmp_path / "картина 🎨.png"
    path.write_bytes(encode(pixels))
    data = path.read_bytes()
    sources = [
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        Image.open(path),
        Image.fromarray(pixels),
        pixels,
    ]
    for source in sources:
        picture = load_image(source)
        assert_picture(picture, 40, 48)
        np.testing.assert_allclose(picture, pixels / 255, rtol=0, atol=1e-7)


def test_a_pil_image_and_an_array_are_left_as_they_were():
    pixels = noise(channels=4)
    image = Image.fromarray(pixels)
    load_image(image, 64)
    load_image(pixels, 64)
    assert image.mode == "RGBA" and image.size == (48, 40)
    assert (np.asarray(image) == pixels).all() and (pixels == noise(channels=4)).all()


def test_anything_with_an_array_inside_is_an_array():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return noise()

    assert (load_image(Tensor()) == load_image(noise())).all()


@pytest.mark.parametrize("source", [None, 3, ["cat.jpg"], io.BytesIO(b"")])
def test_other_sources_are_refused_by_type(source):
    with pytest.raises(PictureError, match=f"cannot be a {type(source).__name__}: give a path, bytes"):
        load_image(source)


# ---- arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((32, 40, 3), 51, np.uint8), 0.2),
        (np.full((32, 40), 51, np.uint8), 0.2),
        (np.full((32, 40, 1), 51, np.uint8), 0.2),
        (np.full((32, 40, 3), 13107, np.uint16), 0.2),
        (np.full((32, 40, 3), 13107, ">u2"), 0.2),
        (np.full((32, 40), True), 1.0),
        (np.full((32, 40, 3), 0.25, np.float16), 0.25),
        (np.full((32, 40, 3), 0.2, np.float32), 0.2),
        (np.full((32, 40, 3), 1 + 1e-12, np.float64), 1.0),
        (np.full((32, 80, 3), 0.2, np.float32)[:, ::-2], 0.2),
    ],
)
def test_arrays_of_every_accepted_kind(array, expected):
    picture = load_image(array)
    assert_picture(picture, 32, 40)
    np.testing.assert_allclose(picture, expected, rtol=0, atol=1e-6)


def test_an_array_with_alpha_is_laid_on_white():
    color = np.full((32, 32, 4), (0.2, 0.4, 0.6, 0.25))
    assert_color(load_image(color), 0.8, 0.85, 0.9)  # 0.25 x colour + 0.75 x white


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((32, 40, 2), np.uint8), r"uint8 of shape \(32, 40, 2\)"),
        (np.zeros((1, 32, 40, 3), np.uint8), r"uint8 of shape \(1, 32, 40, 3\)"),
        (np.zeros(32, np.uint8), r"uint8 of shape \(32,\)"),
        (np.float64(0.5), r"float64 of shape \(\)"),
        (np.zeros((0, 40, 3)), r"float64 of shape \(0, 40, 3\)"),
        (np.zeros((32, 40, 3), np.int64), "int64"),
        (np.zeros((32, 40, 3), np.uint32), "uint32"),
        (np.zeros((32, 40, 3), complex), "complex128"),
        (np.full((32, 40, 3), "x"), "<U1"),
        (np.full((32, 40, 3), None), "object"),
    ],
)
def test_arrays_of_another_kind_are_refused(array, received):
    with pytest.raises(PictureError, match=f"the given array is {received}.*expected uint8, uint16, bool or floats"):
        load_image(array)


@pytest.mark.parametrize(
    ("value", "said"), [(255.0, "0 to 255"), (-0.1, "-0.1 to 0"), (np.nan, "nan"), (np.inf, "inf"), (1e300, "inf")]
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_out_of_range_are_refused(value, said, channels):
    array = np.zeros((32, 40, channels))
    array[3, 4, -1] = value
    with pytest.raises(PictureError, match=f"the given array has values from .*{said}.*expected 0 to 1.*Divide by 255"):
        load_image(array)


# ---- modes of files


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
def test_lossless_kinds_keep_every_value(kind):
    np.testing.assert_allclose(load_image(encode(noise(), kind)), noise() / 255, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("JPEG2000", {}), ("GIF", {})]
)
def test_lossy_kinds_keep_the_colour(kind, options):
    assert_color(load_image(encode(flat("RGB", (51, 102, 153)), kind, **options)), 0.2, 0.4, 0.6, within=0.02)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat("1", 1), (1, 1, 1)),
        (flat("L", 51), (0.2, 0.2, 0.2)),
        (flat("LA", (51, 51)), (0.84, 0.84, 0.84)),  # 0.2 x 0.2 + 0.8
        (flat("RGBA", (0, 51, 255, 51)), (0.8, 0.84, 1)),
        (flat("RGBA", (7, 8, 9, 0)), (1, 1, 1)),
        (flat("RGBa", (0, 51, 51, 51)), (0.8, 1, 1)),  # premultiplied: green and blue are full
        (flat("RGBX", (51, 102, 153, 7)), (0.2, 0.4, 0.6)),
        (flat("CMYK", (255, 0, 0, 0)), (0, 1, 1)),
        (flat("CMYK", (0, 0, 0, 204)), (0.2, 0.2, 0.2)),
        (flat("HSV", (0, 255, 255)), (1, 0, 0)),
        (flat("YCbCr", (51, 128, 128)), (0.2, 0.2, 0.2)),
        (flat("I", 13107), (0.2, 0.2, 0.2)),
        (flat("I;16", 13107), (0.2, 0.2, 0.2)),
        (flat("I;16B", 13107), (0.2, 0.2, 0.2)),
        (flat("F", 0.2), (0.2, 0.2, 0.2)),
        (flat("F", 51), (0.2, 0.2, 0.2)),
        (flat("F", 13107), (0.2, 0.2, 0.2)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_mode_becomes_rgb(image, expected):
    assert_color(load_image(image), *expected)


def test_cmyk_files():
    for kind, within in (("TIFF", 1e-6), ("JPEG", 0.01)):
        assert_color(load_image(encode(flat("CMYK", (0, 255, 0, 51)), kind)), 0.8, 0, 0.8, within=within)


def test_floats_that_no_custom_explains_are_refused():
    for value in (-1, 70_000, float("nan"), float("inf")):
        with pytest.raises(PictureError, match="the given image has values"):
            load_image(flat("F", value))


def test_palettes_with_and_without_transparency():
    image = flat("P", 0)
    image.putpalette([51, 102, 153, 255, 0, 0])
    for kind in ("PNG", "GIF"):
        assert_color(load_image(encode(image, kind)), 0.2, 0.4, 0.6)
        assert_color(load_image(encode(image, kind, transparency=0)), 1, 1, 1)
        assert_color(load_image(encode(image, kind, transparency=1)), 0.2, 0.4, 0.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of this one, if it is converted in one step
        assert_color(load_image(encode(image, transparency=bytes([51, 255]))), 0.84, 0.88, 0.92)


@pytest.mark.parametrize(
    "image", [flat("L", 51), flat("RGB", (51, 51, 51)), flat("1", 0)], ids=lambda image: image.mode
)
def test_a_colour_declared_transparent(image):
    key = image.getpixel((0, 0))
    assert_color(load_image(encode(image, transparency=key)), 1, 1, 1)
    given = image.copy()
    given.info["transparency"] = key
    assert_color(load_image(given), 1, 1, 1)
    assert given.mode == image.mode and given.tobytes() == image.tobytes()  # the caller's is as it was


def test_sixteen_bit_png_as_written_by_hand():
    def rows(*samples: int) -> bytes:
        return 32 * (b"\0" + struct.pack(f">{len(samples)}H", *samples) * 32)

    grey = load_image(raw_png(16, 0, rows(13200)))
    assert_color(grey, *[13200 / 65535] * 3)  # not a multiple of 257: the low byte counts
    assert_color(load_image(raw_png(16, 2, rows(13107, 26214, 39321))), 0.2, 0.4, 0.6)
    assert_color(load_image(raw_png(16, 6, rows(0, 13107, 65535, 13107))), 0.8, 0.84, 1)
    assert_color(load_image(raw_png(16, 4, rows(0, 52428))), 0.2, 0.2, 0.2)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_first_frame_of_an_animation(kind):
    frames = [flat("RGB", color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert_color(load_image(data), 1, 0, 0)


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]


@few
@given(st.sampled_from(MODES), st.integers(32, 50), st.integers(32, 50), st.integers(0, 999), st.booleans())
def test_random_pictures_of_any_mode_keep_the_contract(mode, height, width, seed, from_file):
    if mode in ("I", "I;16"):
        image = Image.fromarray(noise(height, width, 0, seed).astype(np.uint16 if ";" in mode else np.int32) * 257)
    else:
        channels = len(Image.new(mode, (1, 1)).getbands())
        kind = np.float32 if mode == "F" else np.uint8
        values = noise(height, width, channels, seed)
        image = Image.frombytes("L" if mode == "1" else mode, (width, height), values.astype(kind).tobytes())
        image = image.convert("1") if mode == "1" else image
    if from_file and mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = encode(image)
    assert_picture(load_image(image), height, width)
    assert max(load_image(image, 64).shape) == 64


# ---- orientation


UPRIGHT = noise(40, 64)
SIDES = {  # the EXIF standard: which side of the scene row 0 and column 0 of the file are
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def as_stored(orientation: int) -> np.ndarray:
    row, column = SIDES[orientation]
    stored = UPRIGHT if row in ("top", "bottom") else UPRIGHT.swapaxes(0, 1)
    stored = stored[::-1] if row in ("bottom", "right") else stored
    return stored[:, ::-1] if column in ("bottom", "right") else stored


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_every_exif_orientation_comes_out_upright(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encode(as_stored(orientation), kind, exif=exif, **options)
    picture = load_image(data)
    assert_picture(picture, 40, 64)
    np.testing.assert_allclose(picture, UPRIGHT / 255, rtol=0, atol=0.05 if kind == "JPEG" else 1e-6)
    assert load_image(data, 32 * 64 // 40 + 1).shape == (32, 52, 3)


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_broken_exif_is_ignored(exif):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_color(load_image(encode(flat("RGB", (51, 51, 51)), exif=exif)), 0.2, 0.2, 0.2)


def test_exif_that_pillow_gives_up_on_is_ignored(monkeypatch):
    def broken(_):
        raise SyntaxError("not a TIFF file")

    monkeypatch.setattr(Image.Image, "getexif", broken)
    assert_color(load_image(flat("RGB", (51, 51, 51))), 0.2, 0.2, 0.2)


# ---- colour profiles, built here byte by byte


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def icc(space: str, tags: dict[str, bytes], connection: str = "XYZ ", use: str = "mntr") -> bytes:
    tags = {"desc": b"desc\0\0\0\0\0\0\0\x05test\0" + bytes(79), "cprt": b"text\0\0\0\0\0", "wtpt": WHITE} | tags
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name.encode() + struct.pack(">2I", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4s4s4s4s4s", start + len(data), b"test", b"\x02\x10\0\0", *(x.encode() for x in (use, space, connection))
    )
    head += bytes(12) + b"acsp" + bytes(28) + WHITE[8:] + bytes(48)
    assert len(head) == 128
    return head + struct.pack(">I", len(tags)) + table + data


WHITE = xyz(0.9642, 1, 0.8249)
RED, GREEN, BLUE = xyz(0.4360, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971), xyz(0.1431, 0.0606, 0.7141)  # of sRGB
LINEAR = b"curv\0\0\0\0\0\0\0\0"
CURVES = dict.fromkeys(("rTRC", "gTRC", "bTRC"), LINEAR)
LINEAR_RGB = icc("RGB ", {"rXYZ": RED, "gXYZ": GREEN, "bXYZ": BLUE} | CURVES)
SWAPPED_RGB = icc("RGB ", {"rXYZ": GREEN, "gXYZ": RED, "bXYZ": BLUE} | CURVES)
LINEAR_GREY = icc("GRAY", {"kTRC": LINEAR})
_ramp, _ink = bytes(range(256)), bytes((0, 128, 128))  # Lab: any ink at all is black, none is white
_lut = b"mft1\0\0\0\0\x04\x03\x02\0" + struct.pack(">9i", *(65536 * x for x in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
_lut += _ramp * 4 + bytes((255, 128, 128)) + _ink * 15 + _ramp * 3
BLACK_INKS = icc("CMYK", {"A2B0": _lut}, "Lab ", "prtr")


def srgb(linear: float) -> float:
    return 1.055 * linear ** (1 / 2.4) - 0.055


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_linear_profile_is_converted(kind):
    data = encode(
        flat("RGB", (51, 102, 153)), kind, icc_profile=LINEAR_RGB, **({"quality": 100} if kind != "TIFF" else {})
    )
    assert_color(load_image(data), srgb(0.2), srgb(0.4), srgb(0.6), within=0.012)


def test_a_profile_with_red_and_green_swapped():
    assert_color(load_image(encode(flat("RGB", (255, 0, 0)), icc_profile=SWAPPED_RGB)), 0, 1, 0, within=0.01)


def test_pictures_that_are_srgb_already_stay_as_they_are():
    curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(
        ">5i", *(round(65536 * value) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )
    browsers = icc("RGB ", {"rXYZ": RED, "gXYZ": GREEN, "bXYZ": BLUE} | dict.fromkeys(CURVES, curve))
    for profile in (browsers, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        for picture in (noise(), noise(channels=4)):
            tagged, bare = (load_image(encode(picture, **options)) for options in ({"icc_profile": profile}, {}))
            np.testing.assert_array_equal(tagged, bare)


def test_a_profile_that_is_nearly_srgb_is_converted():
    gamma = b"curv\0\0\0\0\0\0\0\1" + struct.pack(">H", round(256 * 2.2))  # differs most in the shadows
    profile = icc("RGB ", {"rXYZ": RED, "gXYZ": GREEN, "bXYZ": BLUE} | dict.fromkeys(CURVES, gamma))
    light = 12.92 * (12 / 255) ** 2.2  # sRGB's straight piece, below a linear 0.0031
    assert light < 8 / 255
    picture = load_image(encode(flat("RGB", (12, 12, 12)), icc_profile=profile))
    assert_color(picture, light, light, light, within=0.004)


def test_a_profile_leaves_transparency_alone():
    light = srgb(0.2) * 0.2 + 0.8
    for image, profile in (
        (flat("RGBA", (51, 51, 51, 51)), LINEAR_RGB),
        (flat("LA", (51, 51)), LINEAR_GREY),
        (flat("LA", (51, 51)), LINEAR_RGB),
    ):
        assert_color(load_image(encode(image, icc_profile=profile)), light, light, light, within=0.003)


def test_profiles_of_grey_and_palette_pictures():
    palette = flat("P", 0)
    palette.putpalette([51, 51, 51])
    for image, profile in ((flat("L", 51), LINEAR_GREY), (flat("L", 51), LINEAR_RGB), (palette, LINEAR_RGB)):
        assert_color(load_image(encode(image, icc_profile=profile)), *[srgb(0.2)] * 3, within=0.003)


def test_a_profile_of_printing_inks():
    for kind in ("TIFF", "JPEG"):
        for inks, light in (((255, 0, 0, 0), 0), ((0, 0, 0, 0), 1)):
            data = encode(flat("CMYK", inks), kind, icc_profile=BLACK_INKS)
            assert_color(load_image(data), light, light, light, within=0.01)


@pytest.mark.parametrize(
    "profile", [b"no profile", LINEAR_RGB[:200], LINEAR_RGB[:132] + bytes(400), LINEAR_GREY, BLACK_INKS, b"\xff" * 600]
)
def test_a_broken_or_unfitting_profile_is_ignored(profile):
    data = encode(flat("RGB", (51, 102, 153)), icc_profile=profile)
    assert_color(load_image(data), 0.2, 0.4, 0.6)


# ---- files that cannot be read


def error(source, **options) -> str:
    """The message, once it is sure that only a PictureError comes out."""
    with pytest.raises(PictureError) as caught:
        load_image(source, **options)
    return str(caught.value)


def test_a_missing_file_suggests_its_neighbours(tmp_path, monkeypatch):
    for name in ("CHELSEA.JPG", "great_wave.jpg"):
        (tmp_path / name).touch()
    assert error(tmp_path / "chelsea.jpeg") == f"{tmp_path / 'chelsea.jpeg'} does not exist. Did you mean CHELSEA.JPG?"
    assert error(tmp_path / "great_wav.png").endswith("Did you mean great_wave.jpg?")
    assert error(tmp_path / "zzz.bmp").endswith("does not exist. Check the spelling.")
    with monkeypatch.context() as unreadable:
        unreadable.setattr(os, "access", lambda *_: False)  # a folder whose names may not be listed
        assert error(tmp_path / "chelsea.jpeg").endswith("does not exist. Check the spelling.")
    assert "nor does its folder" in error(tmp_path / "there" / "chelsea_cat.jpg")
    assert "does not exist" in error("https://example.com/cat.jpg")


def test_folders_empty_files_and_impossible_names(tmp_path):
    assert error(tmp_path) == f"{tmp_path} is a folder. Give the name of a picture inside it."
    (tmp_path / "cat.jpg").touch()
    assert error(tmp_path / "cat.jpg").startswith(f"{tmp_path / 'cat.jpg'} is empty (0 bytes). Copy or download")
    assert "Not a directory" in error(tmp_path / "cat.jpg" / "cat.jpg") or os.name != "posix"
    assert "cannot be opened" in error("cat\0.jpg")
    assert "cannot be opened" in error("c" * 5000)
    assert error(b"").startswith("the file in the given bytes is empty")


def test_no_permission(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    assert "cat.jpg cannot be opened: Permission denied. Check its permissions" in error(tmp_path / "cat.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_no_permission_for_real(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(encode(noise()))
    path.chmod(0)
    assert "Permission denied" in error(path)


@pytest.mark.parametrize("content", [b"just a text", b"<html></html>", b"\xff\xd8\xff", b"%PDF-1.4", bytes(1000)])
def test_something_else_renamed_to_jpg(tmp_path, content):
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    assert f"{path} is not a picture" in error(path) and "save it as PNG or JPEG" in error(path)
    assert "the file in the given bytes is not a picture" in error(content)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_truncated_jpeg_ends_too_early(tmp_path, options):
    path = tmp_path / "cat.jpg"
    data = encode(noise(100, 100), "JPEG", **options)
    path.write_bytes(data[: len(data) // 2])
    assert error(path).startswith(f"{path} ends too early") and "Copy or download it again" in error(path)
    with pytest.raises(PictureError) as caught:
        load_image(path)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(
    "problem", [OSError, SyntaxError, ValueError, struct.error, EOFError, zlib.error, SystemError, MemoryError]
)
def test_whatever_a_decoder_raises_becomes_one_kind_of_error(monkeypatch, problem):
    def broken(*_):
        raise problem("odd")

    image = Image.fromarray(noise())
    monkeypatch.setattr(image, "load", broken)
    with pytest.raises(PictureError, match=r"the given image is damaged or of an unsupported kind \(odd\)") as caught:
        load_image(image)
    assert type(caught.value.__cause__) is problem


def test_a_closed_image():
    image = Image.open(io.BytesIO(encode(noise())))
    image.close()
    assert "the given image is damaged" in error(image)


def loads_or_is_refused(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on broken metadata
        try:
            picture = load_image(data, max_pixels=1_000_000)
        except PictureError as problem:
            assert str(problem).startswith("the file in the given bytes ")
        else:
            assert_picture(picture, *picture.shape[:2])


SAMPLES = [encode(noise(), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")]
SAMPLES += [encode(noise(), "JPEG", progressive=True, icc_profile=LINEAR_RGB), encode(noise(channels=4))]


@few
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"])
)
def test_random_bytes_are_refused(data, start):
    loads_or_is_refused(start + data)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_truncated_files_are_refused(sample, part):
    loads_or_is_refused(sample[: int(part * len(sample))])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_are_refused(sample, damage):
    data = bytearray(sample)
    for place, value in damage:
        data[place % len(data)] = value
    loads_or_is_refused(bytes(data))


# ---- too large, too small


BOMB = raw_png(1, 0, b"", side=20_000)  # 400 megapixels in 80 bytes


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    image = Image.open(io.BytesIO(encode(noise())))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for source, limit in ((BOMB, 100_000_000), (raw_png(1, 0, b"", side=10_001), 100_000_000), (image, 1919)):
        message = error(source, max_pixels=limit)
        assert f"has more than {limit:,} pixels" in message
        assert "load_image(..., max_pixels=...), None for no limit" in message
    assert "100,000,000 pixels" in error(BOMB)


def test_a_gif_that_asks_for_gigabytes_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(Image.core, "fill", lambda *_: pytest.fail("4 GB allocated"))
    header = b"GIF89a" + struct.pack("<2H", 65535, 65535) + b"\0\0\0"
    frame = b"!\xf9\x04\x09\0\0\0\0" + b"," + struct.pack("<4H", 0, 0, 65535, 65535) + b"\0\x02\0;"
    assert "more than 100,000,000 pixels" in error(header + frame)


@pytest.mark.parametrize("pillow_limit", [None, 1, 10, 10**12])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "WEBP"])
def test_the_limit_of_pillow_is_neither_used_nor_changed(monkeypatch, pillow_limit, kind):
    data = encode(noise(), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        for limit in (1920, None, images.MAX_PIXELS):  # 40 x 48
            assert_picture(load_image(data, max_pixels=limit), 40, 48)
        for limit in (1919, 1000, 500, 1):  # Pillow would only warn up to twice its limit
            assert f"more than {limit:,} pixels" in error(data, max_pixels=limit)
    assert leaked == []
    assert pillow_limit == Image.MAX_IMAGE_PIXELS


def test_threads_leave_the_limit_of_pillow_alone():
    before, data, start = Image.MAX_IMAGE_PIXELS, encode(noise()), threading.Barrier(8)

    def load(limit):
        start.wait()
        return [load_image(data, max_pixels=limit).shape for _ in range(50)]

    # Some allow it, and some must refuse it: another thread's limit would show.
    with ThreadPoolExecutor(8) as threads:
        outcomes = [threads.submit(load, limit) for limit in (1920, None, 1919, 500) * 2]
    for limit, outcome in zip((1920, None, 1919, 500) * 2, outcomes, strict=True):
        if limit in (1920, None):
            assert outcome.result() == [(40, 48, 3)] * 50
        else:
            assert isinstance(outcome.exception(), PictureError)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 500), (20000, 10)])
def test_tiny_and_thin_pictures_are_refused(height, width):
    said = f"is {width} x {height} pixels: each side needs at least 32. Take a larger picture."
    pixels = np.zeros((height, width, 3), np.uint8)
    assert error(encode(pixels)) == f"the file in the given bytes {said}"
    assert error(pixels, size=64) == f"the given array {said}"
    assert error(Image.fromarray(pixels)) == f"the given image {said}"


def test_a_size_that_makes_the_short_side_too_small_names_one_that_does_not():
    pixels = np.zeros((100, 350, 3), np.uint8)
    for source, name in ((encode(pixels), "the file in the given bytes"), (pixels, "the given array")):
        message = error(source, size=100)
        assert message.startswith(f"{name} is 350 x 100 pixels: with a long side of 100 its short side would have 29")
        assert message.endswith("use a size of at least 112.")
        assert load_image(source, 112).shape == (32, 112, 3)


@pytest.mark.parametrize("size", [31, 0, -256, 256.0, float("nan"), "256", True, (256, 256)])
def test_sizes_that_are_no_sizes(size):
    with pytest.raises(SettingsError, match="expected a whole number, 32 or more"):
        load_image("no such file.jpg", size)  # said before the file is looked for


# ---- resizing


def test_the_long_side_is_size_and_the_aspect_ratio_stays():
    wide = load_image(noise(120, 300))
    assert resize(wide, 100).shape == (40, 100, 3)
    assert resize(wide.swapaxes(0, 1), np.int64(100)).shape == (100, 40, 3)
    assert resize(wide, 600).shape == (240, 600, 3)
    assert resize(wide, (77, 33)).shape == (77, 33, 3)
    assert load_image(noise(120, 300), 100).shape == (40, 100, 3)


def test_the_right_size_is_handed_back():
    picture = load_image(noise())
    assert resize(picture, 48) is picture
    assert resize(picture, (40, 48)) is picture
    assert crop_to_fit(picture, 40, 48) is picture


def test_resizing_is_antialiased():
    board = np.zeros((256, 256, 3), np.float32)
    board[::2, ::2] = board[1::2, 1::2] = 1
    np.testing.assert_allclose(resize(board, 64)[8:-8, 8:-8], 0.5, atol=0.01)


def test_resizing_does_not_round_to_8_bits():
    ramp = np.linspace(0, 1, 320, dtype=np.float32)
    picture = np.ascontiguousarray(np.broadcast_to(ramp[:, None, None], (320, 40, 3)))
    halved = resize(picture, (160, 40))[10:-10, 0, 0]
    np.testing.assert_allclose(halved, (ramp[::2] + ramp[1::2])[10:-10] / 2, rtol=0, atol=1e-5)


def test_overshoot_is_clipped():
    edge = np.zeros((64, 64, 3), np.float32)
    edge[:, 32:] = 1
    assert_picture(resize(edge, 101), 101, 101)


@few
@given(st.integers(32, 90), st.integers(32, 90), st.integers(32, 120), st.integers(0, 999))
def test_resizing_keeps_range_long_side_and_mean_colour(height, width, size, seed):
    picture = load_image(noise(height, width, seed=seed))
    if round(min(height, width) * size / max(height, width)) < MIN_SIDE:
        with pytest.raises(PictureError, match="the picture is"):
            resize(picture, size)
        return
    small = resize(picture, size)
    assert_picture(small, *small.shape[:2])
    assert max(small.shape[:2]) == size and (height < width) <= (small.shape[0] <= small.shape[1])
    assert abs(min(small.shape[:2]) - min(height, width) * size / max(height, width)) <= 0.5
    np.testing.assert_allclose(small.mean((0, 1)), picture.mean((0, 1)), atol=0.05)


@pytest.mark.parametrize("size", [31, 64.0, True, None, (64, 31), (64, "64"), (64, 64, 3), 10**6, (10**5, 10**5)])
def test_resize_refuses_what_is_no_size(size):
    with pytest.raises(SettingsError, match=r"expected a whole number|more than 100,000,000"):
        resize(load_image(noise(48, 48)), size)


@pytest.mark.parametrize("call", [lambda p: resize(p, 64), lambda p: crop_to_fit(p, 64, 64), to_pil, check_picture])
@pytest.mark.parametrize("wrong", [noise(), np.zeros((40, 40)), np.full((40, 40, 3), 2.0), [[1]], None])
def test_only_pictures_are_worked_on(call, wrong):
    with pytest.raises(PictureError, match=r"expected (floats \(height, width, 3\) in \[0, 1\]|0 to 1)"):
        call(wrong)


def test_crop_to_fit_cuts_the_middle():
    wide = load_image(noise(40, 100))
    np.testing.assert_allclose(crop_to_fit(wide, 40, 40), wide[:, 30:70], atol=1e-5)
    tall = load_image(noise(101, 41))
    np.testing.assert_allclose(crop_to_fit(tall, 41, 41), tall[30:71], atol=1e-5)


def test_crop_to_fit_resizes_what_it_cut():
    thirds = np.zeros((60, 180, 3), np.float32)
    thirds[:, 60:120] = 1
    assert_picture(crop_to_fit(thirds, 32, 32), 32, 32)
    np.testing.assert_allclose(crop_to_fit(thirds, 32, 32)[:, 4:-4], 1, atol=1e-4)
    circle = np.hypot(*np.mgrid[-60:60, -100:100]) < 40
    squeezed = crop_to_fit(load_image(circle), 90, 60)[..., 0] > 0.5  # scale 3/4: the radius becomes 30
    assert squeezed.any(axis=1).sum() == pytest.approx(60, abs=1) and squeezed.any(axis=0).sum() == pytest.approx(
        60, abs=1
    )


@few
@given(st.integers(32, 90), st.integers(32, 90), st.integers(32, 90), st.integers(32, 90))
def test_crop_to_fit_gives_any_size(old_height, old_width, height, width):
    assert_picture(crop_to_fit(load_image(noise(old_height, old_width)), height, width), height, width)


@pytest.mark.parametrize("sides", [(31, 64), (64, 0), (64.0, 64), (10**5, 10**5)])
def test_crop_to_fit_refuses_what_is_no_size(sides):
    with pytest.raises(SettingsError):
        crop_to_fit(load_image(noise()), *sides)


# ---- saving


def test_check_picture_copies_only_if_need_be():
    picture = load_image(noise())
    assert check_picture(picture) is picture
    assert_picture(check_picture(picture.astype(np.float64)), 40, 48)
    assert_picture(check_picture(picture[:, ::-1]), 40, 48)
    with pytest.raises(PictureError, match=r"^style is uint8 of shape \(40, 48, 3\): expected floats"):
        check_picture(noise(), "style")
    with pytest.raises(PictureError, match=r"^picture is list: expected floats"):
        check_picture([1.0])


def test_to_pil_rounds_to_the_nearest():
    picture = np.full((2, 2, 3), (0.999, 0.4 / 255, 0.6 / 255), np.float32)
    assert to_pil(picture).mode == "RGB"
    assert to_pil(picture).getpixel((0, 0)) == (255, 0, 1)


@few
@given(st.integers(32, 40), st.integers(32, 40), st.integers(0, 999))
def test_png_keeps_a_picture_to_half_a_step(height, width, seed):
    picture = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    again = load_image(encode(to_pil(picture)))
    assert np.abs(again - picture).max() <= HALF_STEP


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".tiff", ".bmp"])
def test_lossless_files_come_back_to_half_a_step(tmp_path, suffix):
    picture = np.random.default_rng(0).random((40, 48, 3), dtype=np.float32)
    path = save_image(picture, str(tmp_path / f"pastiche{suffix}"))
    assert path == tmp_path / f"pastiche{suffix}"
    assert np.abs(load_image(path) - picture).max() <= HALF_STEP
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.rint(picture * 255))


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP")])
def test_lossy_files_follow_quality(tmp_path, suffix, kind):
    picture = resize(load_image(noise(32, 32)), 128)
    sizes = [save_image(picture, tmp_path / f"{q}{suffix}", quality=q).stat().st_size for q in (1, 50, 95, 100)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 4
    with Image.open(tmp_path / f"95{suffix}") as image:
        assert image.format == kind
    assert np.abs(load_image(tmp_path / f"100{suffix}") - picture).mean() < 0.04


def test_jpeg_keeps_full_colour_resolution(tmp_path):
    path = save_image(load_image(noise()), tmp_path / "a.jpg")
    with Image.open(path) as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_files_are_tagged_as_srgb_and_always_the_same(tmp_path, suffix):
    picture = load_image(noise())
    first = save_image(picture, tmp_path / f"a{suffix}").read_bytes()
    profile = Image.open(io.BytesIO(first)).info["icc_profile"]
    assert profile[16:20] == b"RGB " and b"s\0R\0G\0B" in profile and profile[24:36] == bytes(12)
    assert save_image(picture, tmp_path / f"b{suffix}").read_bytes() == first


def test_an_unknown_suffix_names_the_good_ones(tmp_path):
    for name in ("a.gif", "a", "a.jpg.bak"):
        with pytest.raises(PictureError, match=r"is not one of \.png, .*\.webp") as caught:
            save_image(load_image(noise()), tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and ".jpeg" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quality", [0, 101, 95.0, "95", True])
def test_a_quality_that_is_none(tmp_path, quality):
    with pytest.raises(SettingsError, match="from 1 to 100"):
        save_image(load_image(noise()), tmp_path / "a.jpg", quality=quality)


def test_only_a_picture_is_saved(tmp_path):
    with pytest.raises(PictureError, match="picture has values from 0 to 2"):
        save_image(np.linspace(0, 2, 40 * 40 * 3).reshape(40, 40, 3), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_not_made(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere does not exist\. Make it first"):
        save_image(load_image(noise()), tmp_path / "nowhere" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_the_format_cannot_hold(tmp_path):
    with pytest.raises(PictureError, match=r"a\.webp, 16384 x 32 pixels as WEBP.*Try \.png"):
        save_image(np.zeros((32, 16384, 3), np.float32), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_picture(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = save_image(load_image(noise()), tmp_path / "a.png")
    old = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PictureError, match=r"cannot write .*a\.png: No space left on device\. Free some space"):
        save_image(load_image(noise(seed=1)), path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_picture(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    path = save_image(load_image(noise()), tmp_path / "a.png")
    old = path.read_bytes()
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_image(load_image(noise(seed=1)), path)
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_the_pictures_of_the_course_survive_loading_and_saving(tmp_path):
    folder = Path(__file__).parents[1] / "data"
    for path in (folder / "content" / "chelsea_cat.jpg", folder / "style" / "hokusai_great_wave.jpg"):
        picture = load_image(path, 256)
        assert_picture(picture, *picture.shape[:2])
        assert np.abs(load_image(save_image(picture, tmp_path / "again.png")) - picture).max() <= HALF_STEP
        assert np.abs(load_image(save_image(picture, tmp_path / "again.jpg")) - picture).mean() < 0.02


# Smaller than the file


def test_a_reduced_picture_is_a_small_one_of_the_same(tmp_path):
    path = ROOT / "data/content/chenonceau_castle.jpg"
    whole = load_image(path)
    for short, long, size in ((60, 600, 60), (600, 90, None), (20, 20, 32)):
        small = load_reduced(path, short, long)
        assert min(small.shape[:2]) == (size or round(long * min(whole.shape[:2]) / max(whole.shape[:2])))
        assert np.abs(small - resize(whole, small.shape[:2])).mean() < 0.015
    np.testing.assert_array_equal(load_reduced(path, 10**5, 10**5), whole)
    with Image.open(path) as image:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        image.convert("L").save(tmp_path / "turned.jpg", exif=exif)
    assert load_reduced(tmp_path / "turned.jpg", 60, 600).shape[1] == 60
    with pytest.raises(PictureError, match="nowhere.jpg does not exist"):
        load_reduced(tmp_path / "nowhere.jpg", 60, 600)


def test_of_a_large_jpeg_a_fraction_is_decoded(tmp_path, monkeypatch):
    Image.new("RGB", (800, 640), "teal").save(tmp_path / "large.jpg")
    decoded = []
    monkeypatch.setattr(
        images, "_pixels", lambda image, pixels=images._pixels: decoded.append(image.size) or pixels(image)
    )
    assert load_reduced(tmp_path / "large.jpg", 100, 100).shape == (80, 100, 3)
    assert decoded == [(100, 80)]


# Tensors


def test_tensors_with_a_gradient_and_in_bfloat16_are_pictures():
    torch = pytest.importorskip("torch", reason="PyTorch's tensors")
    picture = torch.rand(40, 48, 3, requires_grad=True)
    np.testing.assert_array_equal(load_image(picture), picture.detach().numpy())
    np.testing.assert_allclose(load_image(picture.bfloat16()), picture.detach().numpy(), atol=0.005)
    whole = (picture * 255).to(torch.uint8)
    np.testing.assert_array_equal(load_image(whole), whole.numpy() / np.float32(255))
    with pytest.raises(PictureError, match="the given array cannot be read"):
        load_image(picture.to("meta"))


@pytest.mark.parametrize("problem", [TypeError, RuntimeError, ValueError])
def test_what_does_not_become_an_array_is_said(problem):
    class Tensor:
        def __array__(self, *_, **__):
            raise problem("unsupported ScalarType.")

    with pytest.raises(PictureError, match="cannot be read: unsupported ScalarType. Give a NumPy array"):
        load_image(Tensor())


def test_bfloat16_of_other_engines_is_a_picture():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 in NumPy")
    picture = noise() / np.float32(255)
    np.testing.assert_allclose(load_image(picture.astype(ml_dtypes.bfloat16)), picture, atol=0.005)
