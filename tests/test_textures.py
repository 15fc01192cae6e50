"""Textures whose copies fit together."""

import numpy as np
import pytest
from keras import ops

from nst_lib.errors import SettingsError
from nst_lib.objective import wrapped
from nst_lib.painting import paint
from nst_lib.textures import repeated, seam, texture


def test_a_wrapped_picture_is_a_cut_from_its_own_copies():
    tile = np.random.default_rng(0).random((40, 36, 3), "float32")
    seen = ops.convert_to_numpy(wrapped(ops.convert_to_tensor(tile[None]), 32))[0]
    np.testing.assert_array_equal(seen, repeated(tile)[40 - 32 : 80 + 32, 36 - 32 : 72 + 32])


def test_the_seam_of_a_periodic_picture_is_one_step_among_others():
    y, x = np.mgrid[:64, :64]
    waves = np.stack([np.sin(2 * np.pi * (3 * y + 5 * x) / 64), np.cos(2 * np.pi * (4 * y - x) / 64), x * 0], -1)
    noise = np.random.default_rng(0).normal(0, 0.1, waves.shape)
    assert all(2 < percentile < 98 for percentile in seam(waves + noise))


def test_the_seam_of_a_slope_is_an_edge():
    slope = np.linspace(0, 1, 64)[:, None, None] * np.ones((1, 64, 3))
    assert seam(slope)[0] == 100


def test_a_tile_has_no_seam_and_its_like_without_wrapping_has(pair):
    _, painting = pair
    percentiles = {}
    for tileable in (True, False):
        tile = texture(painting, 128, tileable=tileable, steps=40, precision="float32")
        losses = [state.loss for state in paint(tile)]
        assert losses[-1] < 0.3 * losses[0]
        percentiles[tileable] = seam(tile.picture)
    assert max(percentiles[True]) <= 97
    assert max(percentiles[False]) > 97


def test_a_guide_decides_where_it_is_light(pair):
    _, painting = pair
    guide = np.repeat([[[0.1]], [[0.9]]], 64, axis=0) * np.ones((1, 128, 3))
    tile = texture(painting, 128, guide=guide.astype("float32"), steps=25, tileable=False)
    for _ in paint(tile):
        pass
    assert tile.picture[70:].mean() > tile.picture[:58].mean() + 0.1


def test_the_same_seed_gives_the_same_noise_to_begin_with(pair):
    _, painting = pair
    first, again, other = (texture(painting, 128, seed=seed).picture for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05


def test_a_texture_must_be_larger_than_what_the_network_sees(pair):
    with pytest.raises(SettingsError, match="at least 128"):
        texture(pair[1], 64)
