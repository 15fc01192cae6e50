"""The style network: shapes, styles, statistics, and what keeps a grid out of the pictures."""

import keras
import numpy as np
import pytest
from keras import ops

from nst_lib.fast.network import (
    CHANNELS,
    EPSILON,
    STYLE_LENGTH,
    ConditionalInstanceNorm,
    Fold,
    Unfold,
    build_network,
    flat_stays_flat,
    get_kernels,
    plain_style,
    set_kernels,
)

RANDOM = np.random.default_rng(0)


def make(seed=0, dtype="float32"):
    keras.utils.set_random_seed(seed)
    return build_network(dtype)


def run(network, pictures, style=None, statistics=None, fixed=0.0):
    n = len(pictures)
    style = plain_style() if style is None else style
    statistics = np.zeros(STYLE_LENGTH) if statistics is None else statistics
    arrays = (pictures, np.broadcast_to(style, (n, STYLE_LENGTH)), np.broadcast_to(statistics, (n, STYLE_LENGTH)))
    inputs = [ops.convert_to_tensor(array, dtype="float32") for array in (*arrays, np.full(n, fixed))]
    return [ops.convert_to_numpy(output) for output in network(inputs, training=False)]


def noise(*shape):
    return RANDOM.uniform(size=shape).astype("float32")


@pytest.fixture(scope="module")
def network():
    return make()


@pytest.fixture(scope="module")
def statistics(network, pair):
    return run(network, pair[0][None])[1][0]


@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 36, 48), (1, 64, 32), (3, 40, 100)])
def test_a_pastiche_has_the_pictures_shape(network, shape):
    pastiches, statistics = run(network, noise(*shape, 3))
    assert pastiches.shape == (*shape, 3) and statistics.shape == (shape[0], STYLE_LENGTH)
    assert pastiches.dtype == statistics.dtype == np.float32
    assert np.all(np.isfinite(pastiches)) and np.ptp(pastiches) > 0.1


def test_a_style_is_a_scale_and_a_shift_for_every_channel():
    style = plain_style()
    assert style.shape == (STYLE_LENGTH,) == (2 * sum(CHANNELS),)
    scales, shifts = style[: CHANNELS[0]], style[CHANNELS[0] : 2 * CHANNELS[0]]
    assert np.all(scales == 1) and np.all(shifts == 0) and style.sum() == sum(CHANNELS)


def test_the_pictures_of_a_batch_do_not_see_each_other(network):
    pictures = noise(2, 32, 32, 3)
    together, _ = run(network, pictures)
    alone, _ = run(network, pictures[1:])
    np.testing.assert_allclose(together[1:], alone, atol=1e-4)


def test_each_picture_of_a_batch_has_a_style_of_its_own(network):
    picture, styles = noise(32, 32, 3), plain_style() * RANDOM.uniform(0.5, 2, (2, STYLE_LENGTH))
    both, _ = run(network, np.stack([picture, picture]), styles)
    for i in range(2):
        np.testing.assert_allclose(both[i], run(network, picture[None], styles[i])[0][0], atol=1e-4)
    assert np.abs(both[0] - both[1]).mean() > 0.01


def test_conditional_instance_normalisation_against_numpy():
    layer, c = ConditionalInstanceNorm(), 5
    x, style = RANDOM.normal(2, 3, (2, 6, 7, c)), RANDOM.normal(size=(2, 1, 1, 2 * c))
    given = np.concatenate([RANDOM.normal(size=(2, 1, 1, c)), RANDOM.uniform(5, 9, (2, 1, 1, c))], axis=-1)
    fixed = np.array([0.0, 0.3]).reshape(2, 1, 1, 1)
    y, own = layer([ops.convert_to_tensor(array, dtype="float32") for array in (x, style, given, fixed)])

    measured = np.concatenate([x.mean((1, 2), keepdims=True), (x**2).mean((1, 2), keepdims=True)], axis=-1)
    used = (1 - fixed) * measured + fixed * given
    mean, variance = used[..., :c], used[..., c:] - used[..., :c] ** 2
    expected = style[..., :c] * (x - mean) / np.sqrt(variance + EPSILON) + style[..., c:]
    np.testing.assert_allclose(ops.convert_to_numpy(own), measured, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-4, atol=1e-4)


def test_normalised_by_its_own_statistics_a_picture_is_the_same(network, statistics, pair):
    free, _ = run(network, pair[0][None])
    fixed, _ = run(network, pair[0][None], statistics=statistics, fixed=1.0)
    np.testing.assert_allclose(fixed, free, atol=1e-4)


def test_normalised_by_anothers_statistics_a_picture_changes_gradually(network, statistics):
    picture = 0.3 + 0.2 * noise(1, 32, 32, 3)
    free, half, full = (run(network, picture, statistics=statistics, fixed=fixed)[0] for fixed in (0, 0.5, 1))
    assert np.abs(full - free).mean() > np.abs(half - free).mean() > 0.01


def test_statistics_are_not_looked_at_unless_they_are_wanted(network, statistics):
    picture = noise(1, 32, 32, 3)
    np.testing.assert_array_equal(run(network, picture)[0], run(network, picture, statistics=statistics)[0])


@pytest.mark.parametrize("size", [(32, 32), (40, 64)])
def test_a_flat_picture_stays_flat(statistics, size):
    """Normalised by another picture's statistics: by its own, the rounding of a flat picture would be magnified."""
    network = make()
    flat = np.full((1, *size, 3), [0.2, 0.5, 0.7], dtype="float32")

    def unevenness():
        pastiche, _ = run(network, flat, statistics=statistics, fixed=1.0)
        return np.ptp(pastiche, axis=(1, 2)).max()

    assert unevenness() > 1e-2  # a grid
    head = network.get_layer("head").kernel
    head.assign(flat_stays_flat(head))
    assert unevenness() < 1e-5


def test_flat_stays_flat_changes_no_kernel_twice_and_keeps_the_mean_colour():
    kernel = RANDOM.normal(size=(3, 3, 4, 12)).astype("float32")
    once = ops.convert_to_numpy(flat_stays_flat(ops.convert_to_tensor(kernel)))
    twice = ops.convert_to_numpy(flat_stays_flat(ops.convert_to_tensor(once)))
    np.testing.assert_allclose(twice, once, atol=1e-6)
    colours = [k.reshape(3, 3, 4, 4, 3).sum((0, 1)).mean(1) for k in (kernel, once)]
    np.testing.assert_allclose(colours[1], colours[0], atol=1e-5)


def test_folding_gathers_cells_and_unfolding_undoes_it():
    x = np.arange(2 * 8 * 12 * 3, dtype="float32").reshape(2, 8, 12, 3)
    folded = Fold(2)(ops.convert_to_tensor(x))
    assert folded.shape == (2, 4, 6, 12)
    np.testing.assert_array_equal(ops.convert_to_numpy(folded)[1, 2, 3], x[1, 4:6, 6:8].ravel())
    np.testing.assert_array_equal(ops.convert_to_numpy(Unfold(2)(folded)), x)


def test_folding_knows_its_shape_before_the_sides_are_known():
    picture = keras.Input((None, None, 3))
    assert Fold(2)(picture).shape == (None, None, None, 12)
    assert Unfold(2)(Fold(2)(picture)).shape == (None, None, None, 3)
    assert Unfold(2)(Fold(2)(keras.Input((8, 12, 3)))).shape == (None, 8, 12, 3)


def test_a_seed_draws_the_same_kernels_on_every_engine():
    kernels = get_kernels(make(seed=3))
    np.testing.assert_allclose(kernels["stem"].ravel()[:3], [0.14157563, -0.05930153, -0.03632369], rtol=1e-6)
    assert np.abs(kernels["block1_conv1"] - kernels["block1_conv2"]).mean() > 0.05
    for name, kernel in kernels.items():
        limit = np.sqrt(6 / (kernel[..., 0].size + kernel[..., 0, :].size))  # fan in, fan out
        assert 0.95 * limit < np.abs(kernel).max() <= limit, name
        assert np.abs(kernel.mean()) < 0.1 * limit


def test_kernels_carry_a_network_over_into_another(network):
    other, picture = make(seed=1), noise(1, 32, 32, 3)
    before, _ = run(other, picture)
    kernels = get_kernels(network)
    set_kernels(other, kernels)
    for name, kernel in get_kernels(other).items():
        np.testing.assert_array_equal(kernel, kernels[name])
    expected, _ = run(network, picture)
    np.testing.assert_allclose(run(other, picture)[0], expected, atol=1e-6)
    assert np.abs(before - expected).mean() > 0.01


def test_other_values_can_stand_in_for_kernels(network):
    stem = network.get_layer("stem").kernel
    kernels = get_kernels(network, {stem.path: ops.zeros(stem.shape)})
    assert len(kernels) == len(network.variables) and not kernels["stem"].any() and kernels["head"].any()


def test_bfloat16_is_nearly_the_same_and_hands_out_float32(network, pair):
    short = make(dtype="mixed_bfloat16")
    set_kernels(short, get_kernels(network))
    exact, _ = run(network, pair[0][None])
    pastiche, statistics = run(short, pair[0][None])
    assert pastiche.dtype == statistics.dtype == np.float32
    assert 0 < np.abs(pastiche - exact).mean() < 0.02
