"""Textures whose copies fit together."""

import numpy as np
import pytest
from keras import ops

from nst_lib.backbones import load_backbone, wrapped
from nst_lib.errors import SettingsError
from nst_lib.images import resize
from nst_lib.objective import Objective
from nst_lib.painting import paint
from nst_lib.textures import STEPS, recut, repeated, seam, texture


def test_a_wrapped_picture_is_a_cut_from_its_own_copies():
    tile = np.random.default_rng(0).random((40, 36, 3), "float32")
    seen = ops.convert_to_numpy(wrapped(ops.convert_to_tensor(tile[None]), 32))[0]
    np.testing.assert_array_equal(seen, repeated(tile)[40 - 32 : 80 + 32, 36 - 32 : 72 + 32])


def test_to_a_network_a_periodic_picture_has_no_edges(pair):
    """Rolled, it is the same picture: its activations roll along, and are those deep inside many of its copies."""
    net = load_backbone("pocket", padding="replicate")
    tile = resize(pair[1], (64, 48))
    names = ["block1_conv1", "block3_conv2", "block5_conv1"]
    seen, rolled = net(tile, names, True), net(np.roll(tile, (16, -32), (0, 1)), names, True)
    inside = net(np.tile(tile, (5, 7, 1)), names)
    for name, stride in zip(names, (1, 4, 16), strict=True):
        expected = ops.convert_to_numpy(seen[name])
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            ops.convert_to_numpy(rolled[name]),
            np.roll(expected, (16 // stride, -32 // stride), (1, 2)),
            atol=1e-5 * largest,
        )
        h, w = 64 // stride, 48 // stride
        middle = ops.convert_to_numpy(inside[name])[:, 2 * h : 3 * h, 3 * w : 4 * w]
        np.testing.assert_allclose(middle, expected, atol=1e-5 * largest)


def test_what_a_tile_aims_at_is_seen_away_from_the_paintings_edges(pair):
    """As the inside of the painting continued by its mirror image: in a tile there are no edges to be seen."""
    net, painting = load_backbone("pocket", padding="replicate"), resize(pair[1], (48, 64))
    layers = ("block1_conv1", "block5_conv1")
    objective = Objective(("block4_conv2",), layers, "gram", tileable=True)
    found = objective.targets(net, pair[0], [painting], [1.0])["style"]
    mirrored = np.pad(painting, ((64, 64), (64, 64), (0, 0)), mode="symmetric")
    for name, stride in zip(layers, (1, 16), strict=True):
        seen = ops.convert_to_numpy(net(mirrored, [name])[name])[0].astype("float64")
        inside = seen[64 // stride :, 64 // stride :][: 48 // stride, : 64 // stride].reshape(-1, seen.shape[-1])
        np.testing.assert_allclose(ops.convert_to_numpy(found[name])[0], inside.T @ inside / len(inside), rtol=2e-3,
                                   atol=1e-4)  # fmt: skip


def test_the_seam_of_a_periodic_picture_is_one_step_among_others():
    y, x = np.mgrid[:64, :64]
    waves = np.stack([np.sin(2 * np.pi * (3 * y + 5 * x) / 64), np.cos(2 * np.pi * (4 * y - x) / 64), x * 0], -1)
    noise = np.random.default_rng(0).normal(0, 0.1, waves.shape)
    assert all(2 < percentile < 98 for percentile in seam(waves + noise))


def test_the_seam_of_a_slope_is_an_edge():
    slope = np.linspace(0, 1, 64)[:, None, None] * np.ones((1, 64, 3))
    assert seam(slope)[0] == 100


def test_a_tile_is_cut_where_nothing_stands_out():
    tile = np.random.default_rng(0).random((31, 44, 3), "float32")
    tile[0], tile[:, -1] = 0, 0  # edges, where the file begins and ends
    cut = recut(tile)
    rolls = {(down, across) for down in range(31) for across in range(44)
             if np.array_equal(cut, np.roll(tile, (down, across), (0, 1)))}  # fmt: skip
    assert len(rolls) == 1
    assert max(seam(tile)) == 100 and all(45 < percentile < 55 for percentile in seam(cut))


@pytest.mark.slow
def test_a_tile_has_no_seam_and_its_like_without_wrapping_has(pair):
    _, painting = pair
    percentiles: dict[bool, list[float]] = {True: [], False: []}
    for tileable, seeds in ((True, 4), (False, 1)):
        for seed in range(seeds):
            tile = texture(painting, 128, tileable=tileable, steps=20, precision="float32", seed=seed)
            losses = [state.loss for state in paint(tile)]
            assert losses[-1] < 0.3 * losses[0]
            percentiles[tileable] += seam(tile.picture)
    # On a torus the seam is any place: of one tile it may by chance be the smoothest of all, but eight of them have the
    # mean of eight random places, 50, within three standard deviations of 10.
    assert 20 < np.mean(percentiles[True]) < 80
    assert min(percentiles[False]) > 97


@pytest.mark.slow
def test_a_tile_that_grows_from_a_smaller_one_has_no_seam_either(pair):
    """The small one is enlarged as what it is: periodic. Otherwise its edges would be continued, each by itself."""
    percentiles = []
    for seed in range(4):
        tile = texture(pair[1], 256, steps=8, pyramid=2, precision="float32", seed=seed)
        for _ in paint(tile):
            pass
        assert [level.width for level in tile.levels] == [128, 256]
        percentiles += seam(tile.picture)
    assert 20 < np.mean(percentiles) < 80, percentiles


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
    with pytest.raises(SettingsError, match="seed is -1"):
        texture(pair[1], 128, seed=-1)


def test_a_large_texture_begins_where_the_network_sees_what_is_large(pair):
    def sizes(size, **settings):
        return [level.width for level in texture(pair[1], size, memory=None, **settings).levels]

    assert sizes(500) == [500]
    assert sizes(512) == [128, 512]
    assert sizes(640, pyramid=1) == [640]
    work = texture(pair[1], 128)
    assert work.steps == STEPS and texture(pair[1], 128, seconds=1.0).steps is None
