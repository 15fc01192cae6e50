"""The losses against plain NumPy and SciPy, and their gradients against finite differences."""

import numpy as np
import oracles
import pytest
from keras import ops

from nst_lib import autodiff, losses
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone

LAYERS = [CONTENT_LAYER, *STYLE_LAYERS]


def random_activations(height=6, width=7, channels=5, seed=0):
    """(1, h, w, channels), not negative, as after a ReLU."""
    return np.random.default_rng(seed).uniform(0, 3, (1, height, width, channels)).astype("float32")


def number(tensor) -> float:
    return float(ops.convert_to_numpy(tensor))


def test_gram_matrix():
    activations = random_activations()
    gram = ops.convert_to_numpy(losses.gram_matrix(ops.array(activations)))
    assert gram.shape == (1, 5, 5) and gram.dtype == np.float32
    np.testing.assert_allclose(gram[0], oracles.gram(activations[0]), rtol=1e-5)
    np.testing.assert_array_equal(gram[0], gram[0].T)


def test_gram_matrices_of_a_batch_are_those_of_its_pictures():
    one, other = random_activations(seed=1), random_activations(seed=2)
    both = ops.convert_to_numpy(losses.gram_matrix(ops.array(np.concatenate([one, other]))))
    np.testing.assert_allclose(both[0], oracles.gram(one[0]), rtol=1e-5)
    np.testing.assert_allclose(both[1], oracles.gram(other[0]), rtol=1e-5)


def test_arguments_may_be_given_by_name():
    value, target = (ops.array(random_activations(seed=seed)) for seed in (1, 2))
    by_place = losses.relative_error(losses.gram_matrix(value), losses.gram_matrix(target))
    by_name = losses.relative_error(
        target=losses.gram_target(paintings=[target], shares=[1]), value=losses.gram_matrix(activations=value)
    )
    assert number(by_name) == pytest.approx(number(by_place), rel=1e-6)


def test_the_gram_matrix_forgets_where_things_are():
    activations = random_activations()
    flat = activations.reshape(-1, 5)
    shuffled = np.random.default_rng(3).permutation(flat).reshape(activations.shape)
    assert not np.allclose(shuffled, activations)
    before, after = (ops.convert_to_numpy(losses.gram_matrix(ops.array(a))) for a in (activations, shuffled))
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_the_gram_matrix_does_not_depend_on_the_size_of_the_picture():
    activations = random_activations()
    tiled = np.tile(activations, (1, 2, 3, 1))
    before, after = (ops.convert_to_numpy(losses.gram_matrix(ops.array(a))) for a in (activations, tiled))
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_relative_error():
    value, target = random_activations(seed=1), random_activations(seed=2)
    measured = number(losses.relative_error(ops.array(value), ops.array(target)))
    assert measured == pytest.approx(oracles.relative_error(value, target), rel=1e-5)
    assert number(losses.relative_error(ops.array(target), ops.array(target))) == 0
    assert number(losses.relative_error(ops.zeros_like(ops.array(target)), ops.array(target))) == pytest.approx(1)


def test_the_relative_error_of_a_blank_target_is_finite():
    blank = ops.zeros((1, 4, 4, 3))
    assert number(losses.relative_error(blank, blank)) == 0


@pytest.mark.parametrize("factor", [0.1, 1e3])
@pytest.mark.parametrize("style_loss", losses.STYLE_LOSSES)
def test_distances_are_free_of_scale(style_loss, factor):
    make_target, distance = losses.STYLE_LOSSES[style_loss]

    def measure(scale):
        value, target = (ops.array(scale * random_activations(seed=seed)) for seed in (1, 2))
        return number(distance(value, make_target([target], [1.0])))

    assert measure(factor) == pytest.approx(measure(1.0), rel=2e-3)


def test_gram_distance_to_a_mixture_of_paintings():
    value, first, second = (random_activations(seed=seed) for seed in (1, 2, 3))
    target = losses.gram_target([ops.array(first), ops.array(second)], [0.3, 0.7])
    expected = 0.3 * oracles.gram(first[0]) + 0.7 * oracles.gram(second[0])
    np.testing.assert_allclose(ops.convert_to_numpy(target)[0], expected, rtol=1e-5)
    measured = number(losses.gram_distance(ops.array(value), target))
    assert measured == pytest.approx(oracles.relative_error(oracles.gram(value[0]), expected), rel=1e-4)


def test_moments():
    activations = random_activations()
    mean, covariance = (ops.convert_to_numpy(part) for part in losses.moments(ops.array(activations)))
    flat = activations.reshape(-1, 5)
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(covariance, np.cov(flat.T, bias=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shares", [[1.0], [0.25, 0.75]])
def test_wasserstein_distance(shares):
    value = random_activations(12, 10, 8, seed=1) ** 2
    targets = [random_activations(9, 11, 8, seed=2 + i) for i in range(len(shares))]
    target = losses.wasserstein_target([ops.array(t) for t in targets], shares)
    measured = number(losses.wasserstein_distance(ops.array(value), target))
    assert measured == pytest.approx(oracles.wasserstein(value, targets, shares), rel=2e-3)


def test_wasserstein_distance_of_equals_is_nothing():
    activations = ops.array(random_activations(12, 10, 8))
    assert number(losses.wasserstein_distance(activations, losses.wasserstein_target([activations], [1.0]))) < 1e-3


def test_wasserstein_distance_of_a_shift_is_the_length_of_the_shift():
    activations = random_activations(12, 10, 8)
    shifted = activations + np.linspace(0, 2, 8, dtype="float32")
    target = losses.wasserstein_target([ops.array(activations)], [1.0])
    flat = activations.reshape(-1, 8)
    scale = np.sum(flat.mean(axis=0) ** 2) + np.trace(np.cov(flat.T, bias=True))
    expected = np.sum(np.linspace(0, 2, 8) ** 2) / scale
    assert number(losses.wasserstein_distance(ops.array(shifted), target)) == pytest.approx(expected, rel=2e-2)


def test_wasserstein_on_real_activations(pair):
    net = load_backbone("pocket")
    photograph, painting = (net(picture, STYLE_LAYERS) for picture in pair)
    for layer in ("block1_conv1", "block3_conv1"):
        measured = number(
            losses.wasserstein_distance(photograph[layer], losses.wasserstein_target([painting[layer]], [1.0]))
        )
        expected = oracles.wasserstein(
            ops.convert_to_numpy(photograph[layer]), [ops.convert_to_numpy(painting[layer])], [1.0]
        )
        assert measured == pytest.approx(expected, abs=0.01), layer


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("kind", ["fewer positions than channels", "a dead channel", "one colour", "blank"])
def test_the_wasserstein_gradient_is_finite_where_covariances_have_no_inverse(kind, channels):
    value, target = random_activations(2, 2, channels, seed=1), random_activations(2, 2, channels, seed=2)
    if kind == "a dead channel":
        value[..., 0] = target[..., 1] = 0
    elif kind == "one colour":
        value[:], target[:] = 1, 2
    elif kind == "blank":
        value[:] = target[:] = 0
    goal = losses.wasserstein_target([ops.array(target)], [1.0])
    loss, _, gradient = autodiff.value_and_gradient(
        lambda x: (losses.wasserstein_distance(x, goal), ops.zeros(())), ops.array(value)
    )
    assert np.isfinite(number(loss))
    assert np.isfinite(ops.convert_to_numpy(gradient)).all()


def test_total_variation():
    picture = np.random.default_rng(0).uniform(size=(9, 11, 3)).astype("float32")
    measured = number(losses.total_variation(ops.array(picture[None])))
    assert measured == pytest.approx(oracles.total_variation(picture), rel=1e-5)


def test_total_variation_of_a_tile_counts_the_steps_across_its_seam():
    tile = np.random.default_rng(0).uniform(size=(9, 11, 3)).astype("float32")
    measured = number(losses.total_variation(ops.array(tile[None]), periodic=True))
    assert measured == pytest.approx(oracles.total_variation(np.pad(tile, ((0, 1), (0, 1), (0, 0)), "wrap")), rel=1e-5)


def test_total_variation_of_one_colour_is_nothing_and_flat():
    value, _, gradient = autodiff.value_and_gradient(
        lambda x: (losses.total_variation(x), ops.zeros(())), ops.full((1, 8, 8, 3), 0.3)
    )
    assert number(value) == pytest.approx(0, abs=1e-7)
    np.testing.assert_array_equal(ops.convert_to_numpy(gradient), 0)


def check_gradient(function, x, step):
    """Compare the gradient of `function` at `x` with central differences, downhill and across."""
    with_aux = autodiff.compile_function(
        lambda x: autodiff.value_and_gradient(lambda x: (function(x), ops.zeros(())), x)
    )
    _, _, gradient = with_aux(ops.array(x))
    gradient = ops.convert_to_numpy(gradient).astype("float64")
    random = np.random.default_rng(7).normal(size=x.shape)
    random /= np.linalg.norm(random)
    for direction in (gradient / np.linalg.norm(gradient), random + gradient / np.linalg.norm(gradient)):
        ahead, behind = (
            number(with_aux(ops.array((x + sign * step * direction).astype("float32")))[0]) for sign in (1, -1)
        )
        assert (ahead - behind) / (2 * step) == pytest.approx(np.sum(gradient * direction), rel=0.01)


@pytest.mark.parametrize("style_loss", losses.STYLE_LOSSES)
def test_gradients_of_style_losses_by_finite_differences(style_loss):
    make_target, distance = losses.STYLE_LOSSES[style_loss]
    target = make_target([ops.array(random_activations(seed=2))], [1.0])
    check_gradient(lambda x: distance(x, target), random_activations(seed=1), step=0.1)


def test_gradient_of_the_relative_error_by_finite_differences():
    target = ops.array(random_activations(seed=2))
    check_gradient(lambda x: losses.relative_error(x, target), random_activations(seed=1), step=0.1)


def test_gradient_of_total_variation_by_finite_differences():
    picture = np.random.default_rng(0).uniform(size=(1, 16, 16, 3)).astype("float32")
    check_gradient(losses.total_variation, picture, step=0.05)


@pytest.mark.parametrize("style_loss", losses.STYLE_LOSSES)
def test_gradient_of_the_whole_loss_through_the_pocket_vgg(pair, style_loss):
    net = load_backbone("pocket", padding="replicate")
    photograph, painting = (net(picture, LAYERS) for picture in pair)
    make_target, distance = losses.STYLE_LOSSES[style_loss]
    targets = {layer: make_target([painting[layer]], [1.0]) for layer in STYLE_LAYERS}

    def loss(x):
        seen = net(x, LAYERS)
        style = sum(distance(seen[layer], targets[layer]) for layer in STYLE_LAYERS) / len(STYLE_LAYERS)
        content = losses.relative_error(seen[CONTENT_LAYER], photograph[CONTENT_LAYER])
        return content + losses.STYLE_GAIN * style + 0.5 * losses.total_variation(x)

    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 64, 64, 3))
    check_gradient(loss, np.clip(pair[0][None] + noise, 0, 1).astype("float32"), step=0.05)
