import tracemalloc

import numpy as np
import pytest

from nst_lib import color
from nst_lib.color import from_oklab, keep_colors, match_colors, to_oklab
from nst_lib.errors import SettingsError


@pytest.fixture
def random_picture():
    return np.random.default_rng(0).uniform(size=(40, 48, 3)).astype("float32")


def test_known_colours_have_their_published_coordinates():
    # Ottosson's page gives white (1, 0, 0); red is the value that CSS Color 4 lists for `red`.
    picture = np.array([[[1, 1, 1], [1, 0, 0], [0, 0, 0]]], "float32")
    expected = [[1, 0, 0], [0.627955, 0.224863, 0.125846], [0, 0, 0]]
    assert np.allclose(to_oklab(picture)[0], expected, atol=2e-4)


def test_there_and_back_is_the_same_picture(random_picture):
    assert np.abs(from_oklab(to_oklab(random_picture)) - random_picture).max() < 1e-3


def test_a_colour_outside_srgb_keeps_its_lightness():
    lab = np.array([[[0.6, 0.4, 0.4], [0.3, -0.5, 0.1], [1.0, 0.3, 0.0]]])
    back = to_oklab(from_oklab(lab))
    assert np.allclose(back[..., 0], lab[..., 0], atol=5e-3)
    # the hue stays too, where there is any saturation left
    hue = np.arctan2(back[0, :2, 2], back[0, :2, 1])
    assert np.allclose(hue, np.arctan2(lab[0, :2, 2], lab[0, :2, 1]), atol=0.02)


def test_kept_colours_are_the_photographs_and_the_light_is_the_pastiches(random_picture):
    pastiche = 0.35 + 0.3 * random_picture
    photograph = np.broadcast_to(np.float32([0.55, 0.5, 0.45]), pastiche.shape).copy()
    kept = to_oklab(keep_colors(pastiche, photograph))
    assert np.allclose(kept[..., 0], to_oklab(pastiche)[..., 0], atol=2e-3)
    assert np.allclose(kept[..., 1:], to_oklab(photograph)[..., 1:], atol=2e-3)


def test_a_linear_match_has_the_photographs_mean_and_covariance():
    random = np.random.default_rng(1)
    painting = (
        (0.5 + 0.05 * random.normal(size=(64, 64, 3)) @ random.normal(size=(3, 3))).clip(0.3, 0.7).astype("float32")
    )
    photograph = (0.5 + 0.04 * random.normal(size=(50, 70, 3))).clip(0.2, 0.8).astype("float32")
    matched, wanted = (to_oklab(p).reshape(-1, 3) for p in (match_colors(painting, photograph), photograph))
    assert np.allclose(matched.mean(0), wanted.mean(0), atol=1e-3)
    assert np.allclose(np.cov(matched.T), np.cov(wanted.T), atol=1e-5)


def test_the_linear_map_is_symmetric_so_it_moves_colours_least():
    # the transport between commuting covariances scales each axis: a grey-axis stretch stays a grey-axis stretch
    grey = np.linspace(0.3, 0.6, 64 * 64).reshape(64, 64, 1).repeat(3, -1).astype("float32")
    stretched = np.linspace(0.2, 0.8, 64 * 64).reshape(64, 64, 1).repeat(3, -1).astype("float32")
    matched = match_colors(grey, stretched)
    assert (np.diff(matched[..., 0].ravel()) >= -1e-4).all()  # the order of lightness is kept
    assert np.abs(matched - matched.mean(-1, keepdims=True)).max() < 0.01  # and no colour appears


def test_a_histogram_match_has_the_photographs_lightness_distribution(random_picture):
    photograph = random_picture**2 * 0.5 + 0.2
    matched = to_oklab(match_colors(0.3 + 0.3 * random_picture[::-1].copy(), photograph, "histogram"))[..., 0]
    levels = np.linspace(0.05, 0.95, 10)
    assert np.allclose(np.quantile(matched, levels), np.quantile(to_oklab(photograph)[..., 0], levels), atol=0.01)


@pytest.mark.parametrize("method", ["linear", "histogram"])
@pytest.mark.parametrize("colour", [(0, 0, 0), (1, 1, 1), (0.2, 0.5, 0.9)])
def test_one_colour_pictures_do_no_harm(random_picture, method, colour):
    plain = np.broadcast_to(np.float32(colour), random_picture.shape).copy()
    for painting, photograph in ((plain, random_picture), (random_picture, plain), (plain, plain)):
        matched = match_colors(painting, photograph, method)
        assert matched.dtype == np.float32 and np.isfinite(matched).all() and matched.min() >= 0 and matched.max() <= 1
    assert np.abs(match_colors(random_picture, plain, method) - plain).max() < 0.02


def test_a_grey_photograph_makes_a_grey_picture(random_picture):
    grey = random_picture[..., :1].repeat(3, -1)
    kept = keep_colors(random_picture, grey)
    assert np.abs(kept - kept.mean(-1, keepdims=True)).max() < 2e-3


def test_an_unknown_method_is_named(random_picture):
    with pytest.raises(SettingsError, match="unknown method 'linaer': did you mean linear"):
        match_colors(random_picture, random_picture, "linaer")


def test_a_large_picture_takes_little_memory_beside_what_comes_out(random_picture, monkeypatch):
    monkeypatch.setattr(color, "PIECE", 1000)  # which does not divide its pixels
    other = random_picture[::-1, ::-1].copy()
    small = keep_colors(random_picture, other)
    np.testing.assert_allclose(small[:32], keep_colors(random_picture[:32], other[:32]), atol=1e-6)
    monkeypatch.undo()
    picture, other = (np.tile(pixels, (16, 16, 1)) for pixels in (random_picture, other))
    tracemalloc.start()
    try:
        kept = keep_colors(picture, other)
        bytes_per_pixel = tracemalloc.get_traced_memory()[1] / (picture.size / 3)
    finally:
        tracemalloc.stop()
    assert bytes_per_pixel < 25  # 12 of them the picture; they were 220
    np.testing.assert_allclose(kept[:40, :48], small, atol=1e-6)
