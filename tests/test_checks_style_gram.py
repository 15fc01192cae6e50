"""The checks of notebook 03: right answers pass, wrong ones get a sentence that fits."""

import numpy as np
import pytest

pytest.importorskip("IPython", reason="the course is an extra")

from keras import ops

from nst_lib import paint, resize, texture
from nst_lib.checks import style_gram as check
from nst_lib.course import painting
from nst_lib.losses import STYLE_LOSSES, relative_error

ORIGINAL = np.array([[[1, 2], [0, 1]], [[3, 0], [1, 1]]], "float32")


def said(capsys, check, *answers):
    check(*answers)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return out


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ([[1.5, 0.5], [0.5, 1.25]], "✓"),
        (..., "Not answered"),
        ([[6, 2], [2, 5]], "means"),
        ([[0.5, -0.25], [-0.25, 0.6875]], "covariance"),
        ([[1.5, 1], [1, 1.25]], "numbers differ"),
        ([[1, 0.5], [0.5, 1]], "diagonal"),
        ([[1.5, 0.5], [0, 1.25]], "symmetric"),
        ([1.5, 0.5, 1.25], "(2, 2)"),
        ("one", "not str"),
        (None, "✗"),
    ],
)
def test_by_hand(capsys, answer, sentence):
    assert sentence in said(capsys, check.by_hand, answer)


def flipped():
    forged = ORIGINAL.copy()
    forged[0, 0] *= -1
    return forged


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (flipped(), "✓"),
        (ops.convert_to_tensor(flipped()), "✓"),
        (-ORIGINAL, "✓"),
        (..., "Not answered"),
        (ORIGINAL, "all rows are the original's"),
        (ORIGINAL[::-1], "all rows are the original's"),
        (np.concatenate([ORIGINAL, ORIGINAL]), "all rows are the original's"),
        (2 * ORIGINAL, "numbers differ"),
        (0 * ORIGINAL, "silent"),
        (ORIGINAL[0], "(height, width, channels)"),
        ("a forgery", "not str"),
        (None, "✗"),
    ],
)
def test_forgery(capsys, answer, sentence):
    assert sentence in said(capsys, check.forgery, answer, ORIGINAL)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (["shifted", "mirrored", "turned", "half the size"], "✓"),
        (..., "Not answered"),
        ([..., "mirrored", "turned", "half the size"], "Not answered"),
        (["half the size", "turned", "mirrored", "shifted"], "wrong way round"),
        (["shifted", "turned", "mirrored", "half the size"], "Number 2"),
        (["shifted"], "needed once"),
        ("shifted", "list of four names"),
        ([1, 2, 3, 4], "needed once"),
        (None, "list of four names"),
    ],
)
def test_what_style_does_not_mind(capsys, answer, sentence):
    cafe = painting("vangogh_cafe_terrace")
    changed = {
        "mirrored": cafe[:, ::-1],
        "half the size": cafe[::2, ::2],
        "shifted": np.roll(cafe, 68, axis=1),
        "turned": np.rot90(cafe),
    }
    assert sentence in said(capsys, check.what_style_does_not_mind, answer, changed, cafe)


def moments(x, small=1e-6, power=0.5, axis=-1):
    mean = ops.mean(x, axis=(1, 2), keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=(1, 2))
    return ops.concatenate([mean[:, 0, 0], (variance + small) ** power], axis=axis)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (moments, "✓"),
        (lambda x: ..., "Not answered"),
        (lambda x: moments(x, power=1.0), "roots"),
        (lambda x: moments(x, small=0.0), "gradient is not finite"),
        (lambda x: moments(x)[0], "first axis"),
        (lambda x: moments(x)[:, :4], "(1, 8)"),
        (lambda x: ops.concatenate([moments(x)[:, 4:], moments(x)[:, :4]], axis=-1), "means come first"),
        (lambda x: 2 * moments(x), "first half"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: None, "✗"),
        (3, "should be a function"),
        ("a function", "should be a function"),
    ],
)
def test_mean_and_spread(capsys, answer, sentence):
    assert sentence in said(capsys, check.mean_and_spread, answer)


def mirrored(source):
    """A tile without a seam that has no other style than its source."""
    wide = np.concatenate([source[:128, :64], source[:128, 63::-1]], axis=1)
    return np.concatenate([wide[:64], wide[63::-1]])


def test_own_texture(capsys, monkeypatch):
    source = painting("hokusai_poppies")

    def distance(activations, wanted):
        return relative_error(moments(ops.cast(activations, "float32")), wanted)

    monkeypatch.setitem(
        STYLE_LOSSES,
        "mean and spread",
        (lambda paintings, shares: moments(ops.cast(paintings[0], "float32")), distance),
    )
    work = texture(source, 128, tileable=False, steps=15, backbone="pocket", style_loss="mean and spread")
    for _ in paint(work):
        pass
    assert "✓" in said(capsys, check.own_texture, work.picture, source)
    assert "Gram matrices fit about as well" in said(capsys, check.own_texture, mirrored(source), source)
    assert "Gram matrices fit about as well" in said(capsys, check.own_texture, resize(source, (192, 192)), source)


def test_wallpaper(capsys):
    source = painting("hokusai_poppies")
    assert "✓" in said(capsys, check.wallpaper, mirrored(source), source)
    assert "✓" in said(capsys, check.wallpaper, ops.convert_to_tensor(mirrored(source)), source)


@pytest.mark.parametrize("name", ["own_texture", "wallpaper"])
def test_textures(capsys, name):
    source, function = painting("hokusai_poppies"), getattr(check, name)
    tile = mirrored(source)
    assert "Not answered" in said(capsys, function, ..., source)
    assert "static" in said(capsys, function, np.full((192, 192, 3), 0.5), source)
    assert "The texture should have the shape" in said(capsys, function, tile[None], source)
    assert "between 0 and 1" in said(capsys, function, 255 * tile, source)
    assert "192 x 192" in said(capsys, function, tile[:64], source)
    assert "not None: is a `return` missing?" in said(capsys, function, None, source)
    assert "✗" in said(capsys, function, "wallpaper", source)


def test_wallpaper_sees_a_seam(capsys):
    source = painting("vangogh_church_auvers")[:128, :128]
    ramp = source * np.linspace(0, 1, 128)[:, None, None]
    assert "seam" in said(capsys, check.wallpaper, ramp, source)
    assert "Not answered" in said(capsys, check.wallpaper, ..., ...)
