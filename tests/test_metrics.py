"""Scores against the distances worked out in NumPy."""

import numpy as np
import oracles
import pytest

from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.color import to_oklab
from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import resize, same_shape
from nst_lib.metrics import Score, palette_distance, score, structural_similarity
from nst_lib.weights import POCKET_FILE


def test_a_score_against_numpy(pair):
    photograph, painting = pair
    pastiche = np.clip(photograph + np.random.default_rng(0).normal(0, 0.2, photograph.shape), 0, 1).astype("float32")
    measured = score(pastiche, photograph, painting)
    seen, content, style = (oracles.vgg(p, np.load(POCKET_FILE)) for p in (pastiche, photograph, painting))
    assert measured.content == pytest.approx(
        oracles.relative_error(seen[CONTENT_LAYER], content[CONTENT_LAYER]), rel=1e-3
    )
    distances = [
        oracles.relative_error(oracles.gram(seen[layer]), oracles.gram(style[layer])) for layer in STYLE_LAYERS
    ]
    assert measured.style == pytest.approx(np.mean(distances), rel=1e-3)
    assert measured.total == pytest.approx(measured.content + 30 * measured.style)


def test_the_photograph_has_its_content_and_the_painting_its_style(pair):
    photograph, painting = pair
    untouched = score(photograph, photograph, painting)
    assert untouched.content == 0 and untouched.style > 0.1
    copied = score(painting, resize(photograph, (48, 64)), painting)
    assert copied.style == pytest.approx(0, abs=1e-6) and copied.content > 0.1


def test_the_photograph_and_the_painting_are_brought_to_the_size_of_the_pastiche(pair):
    photograph, painting = pair
    small = resize(photograph, 48)
    expected = score(small, small, resize(painting, 48), load_backbone("pocket"))
    measured = score(small, photograph, painting, "pocket")
    assert measured == expected and isinstance(measured, Score)


@pytest.mark.parametrize("shape, original", [((43, 64), (427, 640)), ((64, 43), (640, 427)), ((32, 47), (200, 297)),
                                             ((682, 1024), (171, 256))])  # fmt: skip
def test_a_shape_that_differs_by_rounding_is_the_same(shape, original):
    rng = np.random.default_rng(0)
    pastiche, photograph = (rng.uniform(size=(*size, 3)).astype("float32") for size in (shape, original))
    assert np.isfinite(score(pastiche, photograph, photograph).total)
    assert same_shape(shape, original) and same_shape(original, shape)


def test_the_painting_may_be_long_and_thin(pair):
    scroll = np.random.default_rng(0).random((40, 600, 3)).astype("float32")
    assert score(pair[0], pair[0], scroll).style > 0


@pytest.mark.parametrize("shape", [(48, 64), (64, 58), (32, 64)])
def test_another_shape_is_another_photograph(pair, shape):
    with pytest.raises(PictureError, match=f"the pastiche is {shape[1]} x {shape[0]} and the photograph 64 x 64"):
        score(resize(pair[0], shape), pair[0], pair[1])


def test_what_is_no_picture_is_named(pair):
    photograph, painting = pair
    for wrong, name in ((0, "the pastiche"), (1, "the photograph"), (2, "the painting")):
        pictures = [photograph, photograph, painting]
        pictures[wrong] = pictures[wrong] * 255
        with pytest.raises(PictureError, match=f"{name} has values from .* to .*expected 0 to 1"):
            score(*pictures)


def test_an_unknown_judge(pair):
    with pytest.raises(SettingsError, match="unknown backbone 'vgg61': did you mean .*vgg16"):
        score(pair[0], *pair, backbone="vgg61")


def test_the_real_vgg16_as_judge(pair, shared):
    path = shared / "weights" / "vgg16_to_block5_conv1.npz"
    by_name = score(pair[0], *pair, "vgg16", path)
    assert by_name == score(pair[0], *pair, load_backbone("vgg16", path))
    assert by_name.content == 0 and by_name.style != score(pair[0], *pair).style


def test_structural_similarity_against_numpy(pair):
    photograph, _ = pair
    noisy = np.clip(photograph + np.random.default_rng(0).normal(0, 0.1, photograph.shape), 0, 1).astype("float32")
    a, b = (to_oklab(picture)[..., 0] for picture in (photograph, noisy))
    windows = [np.lib.stride_tricks.sliding_window_view(plane, (7, 7)).reshape(-1, 49) for plane in (a, b)]
    (mean_a, mean_b), (variance_a, variance_b) = zip(*((w.mean(1), w.var(1)) for w in windows), strict=True)
    covariance = (windows[0] * windows[1]).mean(1) - mean_a * mean_b
    values = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
    values /= (mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)
    assert structural_similarity(photograph, noisy) == pytest.approx(values.mean(), abs=1e-3)
    assert structural_similarity(photograph, photograph) == pytest.approx(1, abs=1e-4)


def test_the_palette_distance_of_two_colours_is_that_in_oklab():
    one, other = (np.full((8, 8, 3), value, "float32") for value in (0.2, 0.7))
    expected = np.linalg.norm(to_oklab(one)[0, 0] - to_oklab(other)[0, 0])
    assert palette_distance(one, other) == pytest.approx(expected, abs=1e-5)


def test_the_palette_distance_does_not_see_where_colours_are(pair):
    shuffled = np.random.default_rng(0).permutation(pair[0].reshape(-1, 3)).reshape(pair[0].shape)
    assert palette_distance(pair[0], shuffled) == pytest.approx(0, abs=1e-4)
    assert palette_distance(*pair) > 0.02
