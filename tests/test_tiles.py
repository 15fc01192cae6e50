"""Tiles: the same loss and gradient as the whole picture's, in less memory; and what it will cost, said beforehand."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from keras import ops

from nst_lib import SettingsError, autodiff, load_backbone
from nst_lib.backbones import STYLE_LAYERS, Backbone
from nst_lib.estimate import SIDES, _pixels_seen, _tiling, choose_tiles, estimate, level_bytes
from nst_lib.objective import Objective
from nst_lib.painting import Painting, paint
from nst_lib.pyramid import Level
from nst_lib.tiles import STRIDE, TiledObjective, margin_of, split

LAYERS = ("block4_conv2", *STYLE_LAYERS)


@pytest.fixture(scope="module")
def pocket():
    return load_backbone("pocket", padding="replicate")


def picture(height, width, seed=0):
    """Smooth blobs and some noise: something that every layer responds to."""
    noise = np.random.default_rng(seed)
    coarse = noise.uniform(size=(1, 5, 7, 3)).astype("float32")
    smooth = ops.convert_to_numpy(ops.image.resize(coarse, (height, width), interpolation="bicubic"))[0]
    return np.clip(smooth + noise.normal(0, 0.1, (height, width, 3)), 0, 1).astype("float32")


@pytest.mark.parametrize("length", [40, 100, 256, 333, 511, 1000, 2049])
@pytest.mark.parametrize("margin", [16, 64])
def test_cores_cover_the_picture_once(length, margin):
    shape, tiles = split(length, 2 * length, 128 + 2 * margin, margin)
    counted = np.zeros((length, 2 * length), int)
    for tile in tiles:
        counted[slice(*tile.rows), slice(*tile.columns)] += 1
        assert tile.top % STRIDE == 0 and tile.left % STRIDE == 0, "or pooling would group other pixels"
        assert tile.top + shape[0] <= length and tile.left + shape[1] <= 2 * length
        for start, (first, end), side, total in (
            (tile.top, tile.rows, shape[0], length),
            (tile.left, tile.columns, shape[1], 2 * length),
        ):
            assert first == 0 or first - start >= margin, "the network sees less than it would in the whole picture"
            assert end == total or start + side - end >= margin
    assert (counted == 1).all()


def test_margin_is_what_the_deepest_layer_sees():
    pocket = load_backbone("pocket")
    assert margin_of(pocket, ["block1_conv1"]) == STRIDE
    assert margin_of(pocket, LAYERS) == 64


@pytest.mark.parametrize("masked", [False, True], ids=["one painting", "two masked ones"])
def test_loss_and_gradient_are_those_of_the_whole_picture(pocket, masked):
    content, paintings = picture(211, 330), [picture(150, 222, 1), picture(180, 170, 2)]
    masks = [np.zeros((211, 330), "float32") for _ in range(2)]
    masks[0][:, :140], masks[1][:, 140:] = 1, 1
    objective = Objective(("block4_conv2", "block3_conv1"), STYLE_LAYERS, "gram")
    weights = objective.weight_vector(1.0, 1.0, 0.5, dict.fromkeys(STYLE_LAYERS, 1.0))
    x = ops.convert_to_tensor(picture(211, 330, 3)[None])
    arguments = content, paintings, [0.3, 0.7], masks if masked else None
    whole = autodiff.compile_function(objective.on(pocket, True))
    loss, parts, gradient = whole(x, weights, objective.targets(pocket, *arguments))
    tiled = TiledObjective(objective, pocket, True, 64)
    targets = tiled.targets(*arguments)
    assert len(targets["pieces"]) > 4
    tiled_loss, tiled_parts, tiled_gradient = tiled(x, weights, targets)
    assert float(tiled_loss) == pytest.approx(float(loss), rel=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(tiled_parts), ops.convert_to_numpy(parts), rtol=1e-3)
    gradient, difference = (ops.convert_to_numpy(g) for g in (gradient, gradient - tiled_gradient))
    # With the rounding, the winner of a pooling may change; what a tile does not see would be ten times as much.
    assert np.linalg.norm(difference) < 3e-3 * np.linalg.norm(gradient)


@pytest.mark.slow
def test_painting_in_tiles_is_the_same_painting():
    pictures = picture(160, 256), picture(160, 256, 1)
    settings = {"size": 256, "steps": 6, "pyramid": 1, "precision": "float32"}
    whole, tiled = (Painting(*pictures, **settings) for _ in range(2))
    tiled.levels[0].tile = 64
    losses = [[state.loss for state in paint(painting)] for painting in (whole, tiled)]
    assert losses[1] == pytest.approx(losses[0], rel=0.01) and losses[0][-1] < losses[0][0] / 2
    assert np.abs(whole.picture - tiled.picture).mean() < 0.01


def test_as_many_tiles_as_the_memory_demands(pocket):
    level = Level(1536, 2048, pocket, 100)
    whole, least = (level_bytes(level, side, LAYERS, 14) / 1e9 for side in (None, SIDES[-1]))
    sides = []
    for gigabytes in (1.01 * whole, 0.7 * whole, 1.02 * least):
        choose_tiles([level], LAYERS, 14, gigabytes)
        assert level_bytes(level, level.tile, LAYERS, 14) <= 1e9 * gigabytes
        sides.append(level.tile)
    assert sides[0] is None and SIDES[0] > sides[1] > sides[2] >= SIDES[-1]


def out_of_memory():
    """The engine's error, as it looks on a GPU."""
    if autodiff.ENGINE == "tensorflow":
        from tensorflow.errors import ResourceExhaustedError

        return ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[1,512,2048,2048]")
    if autodiff.ENGINE == "torch":
        from torch import OutOfMemoryError

        return OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.")
    from jax.errors import JaxRuntimeError

    return JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8589934592 bytes.")


@pytest.fixture
def small_gpu(monkeypatch):
    """Evaluations of more than 210 x 210 pixels do not fit, in tiles or whole; the sizes that were tried."""
    tried, see = [], Backbone.__call__

    def call(self, pictures, layers, *more):
        height, width = pictures.shape[-3:-1]
        tried.append((height, width))
        if height * width > 210 * 210:
            raise out_of_memory()
        return see(self, pictures, layers, *more)

    monkeypatch.setattr(Backbone, "__call__", call)
    monkeypatch.setattr("nst_lib.estimate.SIDES", (128, 64))
    return tried


def test_half_of_what_is_free_is_taken_at_most(pocket, monkeypatch):
    level = Level(1024, 1024, pocket, 10)
    whole = level_bytes(level, None, LAYERS, 14)
    for share, tiled in ((2.01, False), (1.99, True)):
        monkeypatch.setattr(psutil, "virtual_memory", lambda share=share: SimpleNamespace(available=share * whole))
        choose_tiles([level], LAYERS, 14, None)
        assert bool(level.tile) == tiled
    assert level_bytes(level, level.tile, LAYERS, 14) <= 0.995 * whole
    monkeypatch.setattr(autodiff, "gpus", lambda: ["a GPU"])  # whose memory is not the machine's
    choose_tiles([level], LAYERS, 14, None)
    # no limit: the level is left as it was made
    assert level.tile is not None


def test_tiles_are_looked_at_twice(pocket):
    """The second time without a gradient: a third more."""
    level = Level(512, 512, pocket, 10)
    assert _pixels_seen(level, LAYERS) == 512 * 512
    level.tile = 256
    pixels, count = _tiling(level, 256, LAYERS)
    assert count > 1 and _pixels_seen(level, LAYERS) == pytest.approx(pixels * count * 4 / 3)


@pytest.mark.slow
def test_a_picture_that_does_not_fit_is_painted_in_smaller_and_smaller_tiles(small_gpu):
    pictures = picture(384, 320), picture(160, 128, 1)
    painting = Painting(*pictures, size=384, steps=2, pyramid=1, precision="float32")
    painting.step()
    first = painting.state()
    painting.step()
    assert painting.step_count == 2 and painting.state().loss < first.loss
    assert painting.levels[0].tile == 64
    pixels = [height * width for height, width in small_gpu]
    assert pixels[0] > pixels[1] > 210 * 210 > max(pixels[2:]), "the whole, tiles of 128, tiles of 64"


@pytest.mark.parametrize("settings", [{}, {"style_loss": "wasserstein"}, {"tileable": True}])
def test_a_picture_that_does_not_fit_in_any_tiles_says_so(small_gpu, monkeypatch, settings):
    monkeypatch.setattr("nst_lib.estimate.SIDES", (512,))
    painting = Painting(picture(384, 320), picture(160, 128, 1), size=384, steps=2, pyramid=1, **settings)
    with pytest.raises(SettingsError, match="does not suffice for 320 x 384 on pocket. Choose a smaller size"):
        painting.step()


def test_the_size_that_did_fit_is_said(small_gpu, monkeypatch):
    monkeypatch.setattr("nst_lib.estimate.SIDES", (512,))
    painting = Painting(picture(384, 320), picture(160, 128, 1), size=384, steps=4, pyramid=2)
    with pytest.raises(SettingsError, match="for 320 x 384 on pocket; 160 x 192 on pocket did fit"):
        list(paint(painting))


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch):
    assert autodiff.is_out_of_memory(out_of_memory()) and autodiff.is_out_of_memory(MemoryError())
    assert not autodiff.is_out_of_memory(ValueError("shapes do not match"))
    painting = Painting(picture(64, 64), picture(64, 64), size=64, steps=2)
    monkeypatch.setattr(Backbone, "__call__", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        painting.step()


def test_too_little_memory_says_what_is_enough():
    with pytest.raises(SettingsError, match=r"0.2 GB are too little for 64 x 64, which takes 1\.1 GB.*smaller size"):
        Painting(picture(64, 64), picture(64, 64), size=64, memory=0.2)
    with pytest.raises(SettingsError, match="memory"):
        Painting(picture(64, 64), picture(64, 64), size=64, memory=-1)


def test_a_limit_is_refused_where_there_are_no_tiles():
    for settings in ({"style_loss": "wasserstein"}, {"tileable": True}):
        with pytest.raises(SettingsError, match="memory goes with the style loss gram"):
            Painting(picture(64, 64), picture(64, 64), size=64, memory=4, **settings)


def test_estimate_is_of_the_right_size():
    """Loosely, for tests share their machine; `tools/bench.py large_print` compares it with the time taken."""
    painting = Painting(picture(192, 256), picture(192, 256, 1), size=256, steps=4, pyramid=1)
    painting.levels[0].tile = 64
    cost = estimate(painting)
    assert cost.tiles == 2 and 0.8 < cost.gigabytes < 1.5
    states = list(paint(painting))
    assert states[-1].seconds / 4 < cost.seconds < states[-1].seconds * 4
    assert painting.step_count == 4


def test_estimate_is_of_what_is_still_to_be_done():
    painting = Painting(picture(64, 96), picture(64, 96, 1), size=96, steps=20, pyramid=2)
    whole = estimate(painting).seconds
    states = paint(painting)
    while painting.step_count < 18:
        next(states)
    assert estimate(painting).seconds < whole / 3
    timed = Painting(picture(64, 96), picture(64, 96, 1), size=96, seconds=100)
    timed.timing.optimize = 90.0
    assert estimate(timed).seconds == 10.0


def test_a_checkpoint_of_a_painting_in_tiles_goes_on(tmp_path):
    painting = Painting(picture(160, 256), picture(160, 256, 1), size=256, steps=4, pyramid=1, memory=30)
    painting.levels[0].tile = 64
    for _ in range(2):
        painting.step()
    loaded = Painting.load(painting.save(tmp_path / "run.npz"))
    assert loaded.settings["memory"] == 30
    loaded.step()
    painting.step()
    assert loaded.state().loss == pytest.approx(painting.state().loss, rel=0.02)
