"""The checks of notebook 08: right answers pass, wrong ones hear what is wrong, dots are no answer."""

from types import SimpleNamespace

import numpy as np
import pytest

from nst_lib.checks import in_practice as check
from nst_lib.color import to_oklab
from nst_lib.course import photograph

RIGHT = dict(check.MIXED)


def said(capsys, function, *answers):
    function(*answers)
    (line,) = capsys.readouterr().out.splitlines()
    return line


def fails(*_):
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize(
    "labels, sentence",
    [
        (RIGHT, "✓"),
        ({name: list(label) for name, label in RIGHT.items()}, "✓"),
        (..., "Not answered"),
        (dict.fromkeys("ABCD", (..., ...)), "Not answered"),
        (dict.fromkeys("ABCD", (0.1, "all")), "layers are right for 2"),
        (RIGHT | {"C": (0.1, "all")}, "weights for 3"),
        (RIGHT | {"C": (2, "all")}, "0.1 or 3"),
        (RIGHT | {"C": "all"}, "pair"),
        (dict.fromkeys("AB", (0.1, "all")), "each of A"),
        (None, "not NoneType"),
        ("ABCD", "not str"),
    ],
)
def test_labels(capsys, labels, sentence):
    assert sentence in said(capsys, check.labels, labels)


def test_unlabelled_takes_four_tiles_at_scale_1():
    pairs = [(weight, layers, scale) for weight in (0.1, 3) for layers in ("all", "coarse") for scale in (1, 3)]
    tiles = [
        SimpleNamespace(
            variant=SimpleNamespace(style_weight=w, layers=which, style_scale=scale), picture=(w, which, scale)
        )
        for w, which, scale in pairs
    ]
    assert check.unlabelled(tiles) == [(*label, 1) for label in RIGHT.values()]


def test_my_tile(capsys):
    generator = np.random.default_rng(0)
    source = np.tile(generator.uniform(size=(16, 16, 3)), (10, 10, 1)).astype("float32")
    edge = np.concatenate([source[:128, :128][:, :64] * 0.1, source[:128, 64:128]], axis=1)
    assert "✓" in said(capsys, check.my_tile, np.roll(source, 5, axis=(0, 1))[:144, :144], source)
    assert "edge" in said(capsys, check.my_tile, edge, source)
    assert "128 pixels" in said(capsys, check.my_tile, source[:64, :64], source)
    assert "One colour" in said(capsys, check.my_tile, np.full((128, 128, 3), 0.5), source)
    blurred = np.concatenate([source[:128], source[127::-1]])[:, :128]
    assert "blur" in said(capsys, check.my_tile, blurred, source)
    grey = np.clip(0.5 + generator.normal(0, 0.1, (128, 128, 3)), 0, 1)
    assert "nothing of its source" in said(capsys, check.my_tile, grey, photograph("dahlia_flower", 128))
    assert "between 0 and 1" in said(capsys, check.my_tile, 255 * source, source)
    assert "(height, width, 3)" in said(capsys, check.my_tile, source[..., 0], source)
    assert "✗" in said(capsys, check.my_tile, None, source)
    assert "Not answered" in said(capsys, check.my_tile, ..., ...)


def test_feathers(capsys):
    bird = photograph("kingfisher", 512)[:, 90:378]
    mask = to_oklab(bird)[..., 1] > 0.08
    assert "✓" in said(capsys, check.feathers, mask, bird)
    assert "✓" in said(capsys, check.feathers, mask.astype("float32"), bird)
    assert "negative" in said(capsys, check.feathers, ~mask, bird)
    assert "spills" in said(capsys, check.feathers, to_oklab(bird)[..., 2] > 0.03, bird)
    assert "Only" in said(capsys, check.feathers, to_oklab(bird)[..., 1] > 0.16, bird)
    assert "Nothing" in said(capsys, check.feathers, np.zeros(bird.shape[:2]), bird)
    assert "shape" in said(capsys, check.feathers, mask[..., None], bird)
    assert "between 0 and 1" in said(capsys, check.feathers, 255.0 * mask, bird)
    assert "✗" in said(capsys, check.feathers, "orange", bird)
    assert "Not answered" in said(capsys, check.feathers, ..., bird)


def limited(picture, colours, to_space=to_oklab):
    pixels, centres = to_space(picture), to_space(np.asarray(colours, "float32")[None])[0]
    return np.asarray(colours)[np.square(pixels[:, :, None] - centres).sum(axis=-1).argmin(axis=-1)]


@pytest.mark.parametrize(
    "function, sentence",
    [
        (limited, "✓"),
        (lambda picture, colours: ..., "Not answered"),
        (lambda picture, colours: limited(picture, colours, np.asarray), "To an eye"),
        (lambda picture, colours: picture, "not in the palette"),
        (lambda picture, colours: np.broadcast_to(colours[0], picture.shape), "one colour"),
        (lambda picture, colours: limited(picture, colours)[::-1], "have not the colour"),
        (lambda picture, colours: limited(picture, colours).reshape(-1, 3), "shape"),
        (lambda picture, colours: None, "✗"),
        (fails, "ZeroDivisionError"),
        ("no function", "function"),
    ],
)
def test_limit_palette(capsys, function, sentence):
    assert sentence in said(capsys, check.limit_palette, function)


KNOWN = (*check.FREE, "all rights reserved", "CC BY-ND 4.0", "CC BY-NC-ND 4.0", "found on the web", "", None)


def right_credit(title, author, licence):
    if licence not in check.FREE:
        raise ValueError("ask")
    return f"{title} ({author}, {licence}; modified)"


@pytest.mark.parametrize(
    "function, sentence",
    [
        (right_credit, "✓"),
        (lambda title, author, licence: ..., "Not answered"),
        (
            lambda title, author, licence: f"{title}, {author}, {licence}, modified",
            "'all rights reserved' should raise",
        ),
        (lambda *parts: right_credit(*parts).replace("modified", ""), "was the picture changed"),
        (lambda *parts: right_credit(*parts).replace("R. Michetti", "a friend"), "does not say 'R. Michetti'"),
        (lambda *parts: right_credit(*parts) if parts[2] else fails(), "ValueError was asked for"),
        (lambda title, author, licence: right_credit(title, author, licence or "CC0"), "'' should raise"),
        (
            lambda *parts: right_credit(*parts) if parts[2] in KNOWN else "Cup, R. Michetti, modified",
            "Agency' should raise",
        ),
        (lambda *parts: None, "not NoneType"),
        (fails, "ZeroDivisionError"),
        (None, "function"),
    ],
)
def test_credit(capsys, function, sentence):
    assert sentence in said(capsys, check.credit, function)


def test_my_board(capsys, tmp_path):
    pictures = [np.full((20, 30, 3), shade, "float32") for shade in (0.1, 0.3, 0.5, 0.7)]
    png, pdf = tmp_path / "board.png", tmp_path / "board.pdf"
    assert "There is no board.png" in said(capsys, check.my_board, (png, pdf), pictures)
    png.write_bytes(b"\x89PNG...")
    pdf.write_bytes(b"%PDF-1.4")
    assert "✓" in said(capsys, check.my_board, (png, pdf), pictures)
    assert "there are 1" in said(capsys, check.my_board, (png, pdf), pictures[:1] * 5)
    assert "not what its name says" in said(capsys, check.my_board, (pdf, png), pictures)
    assert "PNG, and that of a PDF" in said(capsys, check.my_board, str(pdf), pictures)
    assert "two paths" in said(capsys, check.my_board, (1, 2), pictures)
    assert "in a list" in said(capsys, check.my_board, (png, pdf), None)
    assert "Not answered" in said(capsys, check.my_board, ..., ...)
