"""Training a style network: the photographs, the loss, and that neither Ctrl-C, NaN, a full disk nor SIGKILL ends it.

All of it on a tiny scale: cuts of 48 pixels, one residual block, four steps an epoch.
"""

import errno
import importlib.util
import itertools
import math
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import keras
import numpy as np
import oracles
import pytest
from conftest import ROOT
from keras import ops
from PIL import Image

from nst_lib import checkpoints
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.errors import CheckpointError, PictureError, SettingsError
from nst_lib.fast import callbacks, network, photos, running, training
from nst_lib.fast.callbacks import Budget, Run
from nst_lib.fast.network import build_network, flat_stays_flat, get_kernels, plain_style
from nst_lib.fast.photos import SHIFT, Photos, styles_per_photo
from nst_lib.fast.styles import StyleFile
from nst_lib.fast.training import StyleTrainer, train
from nst_lib.images import crop_to_fit, load_image, save_image
from nst_lib.weights import POCKET_FILE

CROP, EPOCH, EPOCHS = 48, 4, 3
SETTINGS = {"steps": EPOCHS * EPOCH, "batch": 2, "progress": False}


def make_small(setattr):
    channels = network.CHANNELS[:4] + network.CHANNELS[-1:]
    for name, value in (("BLOCKS", 1), ("CHANNELS", channels), ("STYLE_LENGTH", 2 * sum(channels))):
        setattr(network, name, value)
    setattr(callbacks, "make_runner", running.KerasRunner)  # as ONNX Runtime has the graph of the larger network
    for module in (photos, training):
        setattr(module, "SIZE", 64)
    for module in (photos, callbacks):
        setattr(module, "CROP", CROP)
    for name in ("EPOCH", "EPOCH_ON_GPU"):
        setattr(training, name, EPOCH)


@pytest.fixture(autouse=True, scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch.setattr)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four photographs, one of them in a folder of its own."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "inner").mkdir()
    sizes = {"chelsea_cat.png": (64, 64), "great_wall.jpg": (64, 90), "inner/dahlia_flower.webp": (80, 64)}
    for name, size in sizes.items():
        source = ROOT / f"data/content/{name.split('/')[-1].split('.')[0]}.jpg"
        save_image(crop_to_fit(load_image(source), *size), folder / name)
    save_image(crop_to_fit(load_image(ROOT / "data/content/rocket_launch.jpg"), 64, 64), folder / "rocket.bmp")
    return folder


def load_paintings():
    files = {"waves": "hokusai_great_wave", "shapes": "kandinsky_composition_viii"}
    return {name: crop_to_fit(load_image(ROOT / f"data/style/{file}.jpg"), 64, 64) for name, file in files.items()}


@pytest.fixture(scope="module")
def paintings():
    return load_paintings()


def numbers_of(photos, index=0):
    return photos[index][0]


def assert_equal(file, other, atol=1e-6):
    for kind in ("weights", "styles"):
        one, two = getattr(file, kind), getattr(other, kind)
        assert list(one) == list(two)
        for name, array in one.items():
            np.testing.assert_allclose(array, two[name], atol=atol, err_msg=name)


# The photographs


def test_a_batch(folder):
    data = Photos(folder, n_styles=2, steps=5, batch=3)
    batch = numbers_of(data)
    assert len(data) == 5 and len(data.photos) == 4 and data.skipped == []
    assert batch["photos"].shape == (3, CROP, CROP, 3) and batch["photos"].dtype == np.uint8
    assert batch["style"].shape == (3,) and batch["style"].dtype == np.int32
    assert batch["shift"].shape == (3, 2) and batch["shift"].dtype == np.int32
    shifts = np.stack([numbers_of(data, i)["shift"] for i in range(100)])
    assert np.all(shifts == shifts[:, :1])
    assert shifts.min() == 0 and shifts.max() == SHIFT


def test_larger_cuts_are_not_seen_from_much_nearer(folder):
    data = Photos(folder, 2, 5, 4, crop=60)
    assert numbers_of(data)["photos"].shape == (4, 60, 60, 3)
    random = np.random.default_rng(0)
    sides = [right - left for (left, _, right, _), _ in (data.place(data.photos[0], random, 60) for _ in range(100))]
    assert 42 <= min(sides) < 45 and 62 < max(sides) <= 64


def test_photographs_are_kept_at_the_size_they_are_cut_from(folder):
    assert sorted(photo.size for photo in Photos(folder, 1, 1).photos) == [(64, 64), (64, 64), (64, 80), (90, 64)]


def test_a_batch_depends_on_the_seed_the_epoch_and_its_index_only(folder):
    def batch(seed, epoch, index):
        data = Photos(folder, 2, 5, 2, seed)
        data.epoch = epoch
        return numbers_of(data, index)["photos"]

    expected = batch(1, 2, 3)
    np.testing.assert_array_equal(batch(1, 2, 3), expected)
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert np.any(batch(*other) != expected)


def test_workers_cut_their_own_rows_of_the_same_batch(folder):
    whole, first, rest = (numbers_of(Photos(folder, 2, 5, 4, 3, rows), 2) for rows in (None, range(1), range(1, 4)))
    for name, array in whole.items():
        np.testing.assert_array_equal(np.concatenate([first[name], rest[name]]), array)


def test_a_thread_cuts_the_next_batch_meanwhile(folder, monkeypatch):
    cut, make = [], Photos._make

    def noted(self, epoch, index):
        cut.append((epoch, index, threading.current_thread() is threading.main_thread()))
        return make(self, epoch, index)

    monkeypatch.setattr(Photos, "_make", noted)
    data = Photos(folder, 2, 3)
    for epoch in range(2):
        data.epoch = epoch
        for index in range(3):
            data[index]
    data._ahead.shutdown()
    assert cut == [(epoch, index, False) for epoch in range(2) for index in range(3)] + [(2, 0, False)]


@pytest.mark.parametrize("accident", [False, True])
def test_a_training_lets_go_of_its_photographs_and_threads(paintings, folder, monkeypatch, accident):
    made = []
    monkeypatch.setattr(training, "Photos", lambda *given: made.append(Photos(*given)) or made[-1])
    monkeypatch.setattr(training, "_fit", lambda _, data, *__: data[0])
    monkeypatch.setattr(training, "_make_trainer", lambda *_: 1 / 0 if accident else None)
    with pytest.raises(ZeroDivisionError) if accident else nullcontext():
        assert train(paintings, folder, **SETTINGS, should_stop=lambda: True) is None
    threads = made[0]._pool._threads | made[0]._ahead._threads
    assert made[0].photos == [] and threads and not any(thread.is_alive() for thread in threads)


def test_photographs_of_any_kind_are_seen_as_load_image_sees_them(tmp_path):
    deep = np.full((64, 64), 20000, "uint16")
    hidden = np.zeros((64, 64, 4), "uint8")
    hidden[..., 0], hidden[:32, :, 3] = 255, 255  # red, and below that transparent
    for name, array in (("deep.png", deep), ("hidden.png", hidden)):
        Image.fromarray(array).save(tmp_path / name)
    for photo, name in zip(Photos(tmp_path, 1, 1).photos, ("deep.png", "hidden.png"), strict=True):
        np.testing.assert_allclose(np.asarray(photo) / 255, load_image(tmp_path / name), atol=0.5 / 255)


def test_cuts_lie_anywhere_in_a_photograph_and_are_mirrored_now_and_then():
    ramp = np.tile(np.linspace(0, 255, 128)[None, :, None], (64, 1, 3)).astype("uint8")
    random = np.random.default_rng(0)
    photo = Image.fromarray(ramp)
    cuts = np.stack([Photos.cut(photo, *Photos.place(photo, random)) for _ in range(60)]).astype(float)
    assert cuts.min() < 10 and cuts.max() > 245
    mirrored = cuts[:, 0, 0, 0] > cuts[:, 0, -1, 0]
    assert 15 < mirrored.sum() < 45


@pytest.mark.parametrize(("n_styles", "batch"), [(1, 4), (2, 4), (4, 4), (6, 4), (8, 4), (9, 2)])
def test_the_styles_take_turns(folder, n_styles, batch):
    data = Photos(folder, n_styles, 100, batch)
    styles = np.stack([numbers_of(data, i)["style"] for i in range(100)])
    assert all(len(set(row)) == min(batch, n_styles) for row in styles)
    counts = np.bincount(styles.ravel(), minlength=n_styles)
    assert len(counts) == n_styles and counts.min() > 0.5 * counts.mean()


@pytest.mark.parametrize(
    ("n_styles", "batch", "each"),
    [
        (1, 4, 1),
        (2, 4, 2),
        (8, 4, 2),
        (8, 8, 4),
        (6, 4, 2),
        (3, 4, 1),
        (8, 1, 1),
        (5, 2, 1),
        (2, 5, 1),
        (3, 7, 1),
        (2, 6, 2),
    ],
)
def test_a_cut_is_painted_in_several_styles_as_long_as_the_batch_has_two_of_them(folder, n_styles, batch, each):
    assert styles_per_photo(batch, n_styles) == each
    data = Photos(folder, n_styles, 20, batch)
    for index in range(20):
        cuts = numbers_of(data, index)["photos"].reshape(batch // each, each, CROP, CROP, 3)
        assert np.all(cuts == cuts[:, :1])
        assert all(np.any(one != other) for one, other in itertools.pairwise(cuts[:, 0]))


def test_what_is_no_picture_is_skipped_and_listed(folder, tmp_path):
    whole = (folder / "great_wall.jpg").read_bytes()
    (tmp_path / "good.jpg").write_bytes(whole)
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("not even a picture's name")
    (tmp_path / "folder.png").mkdir()
    save_image(np.zeros((31, 40, 3), "float32"), tmp_path / "tiny.png")
    data = Photos(tmp_path, 1, 1)
    assert len(data.photos) == 1
    assert [path.name for path in data.skipped] == ["cut.jpg", "folder.png", "text.jpg", "tiny.png"]


def test_a_turned_photograph_is_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (90, 64)).save(tmp_path / "turned.jpg", exif=exif)
    assert Photos(tmp_path, 1, 1).photos[0].size == (64, 90)


def test_of_many_photographs_some_are_chosen(folder, monkeypatch):
    monkeypatch.setattr(photos, "MAX_PHOTOS", 2)
    chosen = [Photos(folder, 1, 1, seed=seed).photos for seed in range(6)]
    assert all(len(some) == 2 for some in chosen)
    assert len({tuple(photo.tobytes() for photo in some) for some in chosen}) > 1


def test_folders_without_photographs(tmp_path):
    with pytest.raises(PictureError, match="nowhere is not a folder. Give one with photographs in it"):
        Photos(tmp_path / "nowhere", 1, 1)
    with pytest.raises(PictureError, match=rf"{tmp_path.name} has no pictures. Give a folder of photographs"):
        Photos(tmp_path, 1, 1)
    for name in ("one.jpg", "two.png", "three.webp"):
        (tmp_path / name).write_text("not a picture")
    with pytest.raises(PictureError, match="none of the 3 pictures in .* can be read. Give"):
        Photos(tmp_path, 1, 1)
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(PictureError, match="HEIC cannot be read here: export it as JPEG. Give"):
        Photos(tmp_path, 1, 1)


# The budget, the rate and the loss


def test_a_budget_of_seconds_or_steps():
    budget = Budget(max_seconds=60, max_steps=None)
    assert budget.share == 0 and not budget.spent and math.isnan(budget.seconds_left)
    budget.seconds = 15
    assert budget.share == 0.25 and budget.seconds_left == 45
    budget.seconds = 61
    assert budget.spent and budget.share == 1 and budget.seconds_left == 0
    budget = Budget(None, max_steps=40, steps_per_epoch=10, seconds=30, epochs=3)
    assert budget.steps == 30 and budget.seconds_left == pytest.approx(10) and not budget.spent
    assert Budget(None, max_steps=35, steps_per_epoch=10, epochs=4).share == 1  # to the end of the epoch


def fake_model():
    """As much of a trainer as `Run` looks at."""
    variable = keras.Variable(np.ones(3, "float32"))
    optimizer = SimpleNamespace(variables=[], learning_rate=0.0)
    return SimpleNamespace(
        network=SimpleNamespace(variables=[variable]),
        styles=keras.Variable(np.ones(2, "float32")),
        optimizer=optimizer,
        stop_training=False,
    )


def make_run(budget, checkpoint=None):
    run = Run(SimpleNamespace(epoch=None), budget, 0.1, {}, checkpoint, lambda: False)
    run.set_model(fake_model())
    return run


def test_the_rate_warms_up_and_then_falls_to_a_hundredth():
    run = make_run(Budget(None, 100))
    rates = []
    for epoch in range(100):
        run.on_epoch_begin(epoch)
        rates.append(run.model.optimizer.learning_rate)
        assert run.data.epoch == epoch
        run.on_epoch_end(epoch, {"loss": 1.0})
    assert run.model.stop_training
    assert rates[0] == pytest.approx(0.005) and max(rates) == pytest.approx(0.1, rel=0.01)
    assert np.argmax(rates) == 2 and np.all(np.diff(rates[2:]) < 0)
    assert rates[50] == pytest.approx(0.0505) and rates[-1] == pytest.approx(0.001, rel=0.05)


def test_a_step_to_nan_is_taken_back_even_when_the_loss_has_not_seen_it():
    run = make_run(Budget(None, 10))
    run.on_epoch_begin(0)
    run.on_epoch_end(0, {"loss": 1.0})
    run.on_epoch_begin(1)
    run.model.styles.assign([math.inf, 0.0])
    run.on_epoch_end(1, {"loss": 1.0})
    np.testing.assert_array_equal(ops.convert_to_numpy(run.model.styles), [1, 1])
    assert run.caution == 0.5


def test_a_training_that_does_not_settle():
    run = make_run(Budget(None, 100))
    run.on_epoch_begin(0)
    run.on_epoch_end(0, {"loss": 1.0})
    with pytest.raises(SettingsError, match="the training does not settle: its loss is not a number. Give a lower"):
        for epoch in range(1, 10):
            run.on_epoch_begin(epoch)
            run.on_epoch_end(epoch, {"loss": math.nan})
    assert epoch == 7  # halvings make a hundredth
    with pytest.raises(SettingsError, match="the training does not settle"):
        never = make_run(Budget(None, 100))
        never.on_epoch_begin(0)
        never.on_epoch_end(0, {"loss": math.nan})


def test_a_nan_right_after_resuming_is_taken_back(tmp_path):
    header = {"kind": "training", "settings": {}, "seconds": 9.0, "epochs": 1, "steps_per_epoch": 1, "caution": 0.5}
    path = checkpoints.write(tmp_path / "run.npz", header, {"000": np.zeros(3), "001": np.zeros(2)})
    run = make_run(Budget(None, 10), path)
    run.restore(run.model)
    assert (run.budget.seconds, run.budget.epochs, run.caution) == (9, 1, 0.5)
    run.model.styles.assign([math.nan, 1.0])
    run.on_epoch_begin(1)
    run.on_epoch_end(1, {"loss": math.nan})
    np.testing.assert_array_equal(ops.convert_to_numpy(run.model.styles), [0, 0])
    assert run.caution == 0.25


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_end_a_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "fsync", no_space)
    monkeypatch.setattr(callbacks, "CHECKPOINT_SECONDS", -1)
    run = make_run(Budget(None, 10), tmp_path / "run.npz")
    for epoch in range(2):
        run.on_epoch_begin(epoch)
        run.on_epoch_end(epoch, {"loss": 1.0})
        assert not run.model.stop_training
        said = capsys.readouterr().err
        assert said.startswith("nst: training on, but cannot write") and "No space left on device" in said
    monkeypatch.undo()
    run.saved = -math.inf
    run.on_epoch_begin(2)
    run.on_epoch_end(2, {"loss": 1.0})
    assert checkpoints.read(run.checkpoint)[0]["epochs"] == 3


def test_a_checkpoint_is_written_now_and_then_and_at_the_end(tmp_path):
    path, written = tmp_path / "run.npz", []
    run = make_run(Budget(None, 4), path)
    for epoch in range(4):
        if epoch == 1:
            run.saved -= callbacks.CHECKPOINT_SECONDS + 1
        run.on_epoch_begin(epoch)
        run.on_epoch_end(epoch, {"loss": 1.0})
        written.append(path.exists() and checkpoints.read(path)[0]["epochs"])
    assert written == [False, 2, 2, 4]


@pytest.mark.parametrize(("rows", "each"), [(2, 1), (4, 2)])
def test_the_loss_against_numpy(folder, paintings, rows, each):
    assert styles_per_photo(rows, 2) == each
    network, judge = build_network(), load_backbone("pocket", padding="replicate")
    styles = np.stack([plain_style(), 2 * plain_style()])
    trainer = StyleTrainer(network, styles, list(paintings.values()), judge, style_weight=0.5, tv_weight=0.2, each=each)
    (batch,) = Photos(folder, 2, 1, rows)[0]
    pastiches = trainer(batch)
    loss = float(ops.convert_to_numpy(trainer.compute_loss(x=batch, y_pred=pastiches)))

    weights = np.load(POCKET_FILE)
    y, x = batch["shift"][0]
    painted = ops.convert_to_numpy(pastiches)

    def see(picture):
        return oracles.vgg(picture[y : y + CROP - SHIFT, x : x + CROP - SHIFT], weights, "edge")

    seen, originals = [see(p) for p in painted], [see(p / 255) for p in batch["photos"]]
    targets = [oracles.vgg(painting, weights, "edge") for painting in paintings.values()]
    pairs = zip(seen, originals, strict=True)
    content = np.mean([oracles.relative_error(s[CONTENT_LAYER], o[CONTENT_LAYER]) for s, o in pairs])
    style = np.mean(
        [
            oracles.relative_error(oracles.gram(s[layer]), oracles.gram(targets[k][layer]))
            for s, k in zip(seen, batch["style"], strict=True)
            for layer in STYLE_LAYERS
        ]
    )
    variation = np.mean([oracles.total_variation(p) for p in painted])
    overshoot = np.mean((painted - np.clip(painted, 0, 1)) ** 2)
    expected = content + 30 * 0.5 * style + 0.2 * variation + 10 * overshoot
    assert loss == pytest.approx(expected, rel=0.01)


# Training


@pytest.fixture(scope="module")
def unbroken(folder, paintings, tmp_path_factory):
    """A training with all that can be watched: the styles, the losses of its epochs, its optimiser, and what it wrote."""
    kept = tmp_path_factory.mktemp("unbroken")
    seen = SimpleNamespace(losses=[], folder=kept)

    class Watch(callbacks.ProgressBar):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            seen.losses.append(logs["loss"])
            seen.optimizer, seen.last = self.model.optimizer, ops.convert_to_numpy(self.model.styles).copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "ProgressBar", Watch)
        seen.file = train(paintings, folder, **SETTINGS, checkpoint=kept / "end.npz", samples=kept / "samples.png")
    return seen


@pytest.fixture(scope="module")
def stopped(folder, paintings, tmp_path_factory):
    """The checkpoint of the same training, stopped after its first epoch."""
    path = tmp_path_factory.mktemp("stopped") / "run.npz"
    assert train(paintings, folder, **SETTINGS, checkpoint=path, should_stop=lambda: True) is None
    return path


@pytest.fixture
def checkpoint(stopped, tmp_path):
    (tmp_path / "run.npz").write_bytes(stopped.read_bytes())
    return tmp_path / "run.npz"


def test_what_a_training_hands_back(unbroken, paintings, tmp_path):
    file = unbroken.file
    assert list(file.styles) == list(file.thumbnails) == list(paintings)
    assert set(file.weights) == set(get_kernels(build_network()))
    assert file.about["styles"] == list(paintings) and file.about["backbone"] == "pocket"
    assert file.about["pictures"] == EPOCHS * EPOCH * 2 and file.about["photographs"] == 4
    assert np.any(file.styles["waves"] != file.styles["shapes"])
    file.save(tmp_path / "styles.npz")


@pytest.fixture
def at_once(monkeypatch):
    """Trainings end before their first step: enough to see what they begin with."""

    def end(trainer, data, epoch, callbacks):
        callbacks[0].budget.epochs = EPOCHS

    monkeypatch.setattr(training, "_fit", end)


def test_numpys_numbers_are_numbers(folder, paintings, at_once, tmp_path):
    settings = {"steps": np.int64(1), "batch": np.int64(2), "tv_weight": np.float32(0.25), "seed": np.uint8(3)}
    file = train(paintings, folder, progress=False, **settings)
    again = StyleFile.load(file.save(tmp_path / "style.npz"))
    assert (again.about["batch"], again.about["tv_weight"], again.about["seed"]) == (2, 0.25, 3)


@pytest.mark.parametrize(
    ("vector_only", "started", "rate", "weight"),
    [(False, False, 2e-3, 0.12), (False, True, 2e-3, 0.1), (True, True, 1e-2, 0.1)],
)
def test_the_usual_rates_and_weights(folder, paintings, unbroken, at_once, vector_only, started, rate, weight):
    start = unbroken.file if started else None
    file = train(paintings, folder, **SETTINGS | {"steps": 1}, start=start, vector_only=vector_only)
    assert file.about["rate"] == rate and file.about["style_weight"] == weight


def test_what_comes_of_a_training_are_averages(unbroken):
    """Of all steps' weights, the older ones counting less: Keras' moving average, at the end of `fit`."""
    assert unbroken.optimizer.use_ema and unbroken.optimizer.ema_momentum == 0.99
    assert unbroken.optimizer.global_clipnorm == 5.0
    first, averaged = plain_style(), np.stack(list(unbroken.file.styles.values()))
    # Twelve steps in, they are far behind.
    assert 0 < np.abs(averaged - first).max() < 0.5 * np.abs(unbroken.last - first).max()


def test_a_painting_may_be_long_and_thin(folder, at_once):
    scroll = np.random.default_rng(0).random((40, 600, 3)).astype("float32")
    assert list(train({"scroll": scroll}, folder, **SETTINGS | {"steps": 1}).styles) == ["scroll"]


def test_the_loss_falls(unbroken):
    assert len(unbroken.losses) == EPOCHS
    assert unbroken.losses[-1] < 0.9 * unbroken.losses[0]


def test_a_trained_head_shows_no_grid(unbroken):
    head = unbroken.file.weights["head"]
    flat = ops.convert_to_numpy(flat_stays_flat(ops.convert_to_tensor(head)))
    np.testing.assert_allclose(head, flat, atol=1e-6)


def test_samples_show_every_photograph_in_every_style(unbroken):
    assert load_image(unbroken.folder / "samples.png").shape == (2 * CROP, (1 + 4) * CROP, 3)


def test_a_training_that_ends_on_a_full_disk_is_not_lost(folder, paintings, formula, tmp_path, monkeypatch, capsys):
    expected = train(paintings, folder, **SETTINGS)
    files = {"checkpoint": tmp_path / "run.npz", "samples": tmp_path / "samples.png"}
    monkeypatch.setattr(os, "fsync", no_space)
    assert_equal(train(paintings, folder, **SETTINGS, **files), expected)
    assert "nst: no samples: cannot write" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_training_stopped_on_a_full_disk_says_where_it_is(
    folder, paintings, formula, tmp_path, monkeypatch, elsewhere
):
    expected = train(paintings, folder, **SETTINGS)
    path, replace = tmp_path / "run.npz", os.replace

    def full(source, target):
        if not elsewhere or os.path.dirname(target) == str(tmp_path):
            no_space()
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CheckpointError, match="run.npz: No space left on device") as caught:
        train(paintings, folder, **SETTINGS, checkpoint=path, should_stop=lambda: True)
    if not elsewhere:
        assert "is lost" in str(caught.value)
        return
    monkeypatch.setattr(os, "replace", replace)
    spare = re.search(r"It is in (.+) instead: move it to .*run.npz", str(caught.value))[1]
    os.replace(spare, path)
    assert_equal(train(paintings, folder, **SETTINGS, checkpoint=path, resume=True), expected)


def test_stopped_and_resumed_it_ends_where_an_unbroken_one_ends(folder, paintings, unbroken, checkpoint, monkeypatch):
    """Stopped after each of its epochs; and the last time, where epochs are longer: on a GPU, say, after a processor."""
    again = {**SETTINGS, "checkpoint": checkpoint, "resume": True}
    assert train(paintings, folder, **again, should_stop=lambda: True) is None
    assert checkpoints.read(checkpoint)[0]["epochs"] == 2
    for name in ("EPOCH", "EPOCH_ON_GPU"):
        monkeypatch.setattr(training, name, 10 * EPOCH)
    resumed = train(paintings, folder, **again)
    assert_equal(resumed, unbroken.file)
    assert resumed.about["pictures"] == unbroken.file.about["pictures"]


def test_a_finished_training_resumed_is_the_same(folder, paintings, unbroken):
    end = unbroken.folder / "end.npz"
    assert_equal(train(paintings, folder, **SETTINGS, checkpoint=end, resume=True), unbroken.file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "is of another training: its seed is 0, not 1"),
        ({"style_weight": 1.0}, "its style weight is 0.12, not 1.0"),
        ({"tv_weight": 0.0}, "its tv weight is 0.3, not 0.0"),
        ({"batch": 3}, "its batch is 2, not 3"),
        ({"crop": 64}, "its crop is 48, not 64"),
        ({"learning_rate": 0.5}, "its rate is 0.002, not 0.5"),
    ],
)
def test_a_checkpoint_of_another_training(folder, paintings, checkpoint, changes, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        train(paintings, folder, **(SETTINGS | changes), checkpoint=checkpoint, resume=True)
    assert str(checkpoint) in str(caught.value)


def test_a_checkpoint_of_other_styles_or_photographs(folder, paintings, checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match=r"its styles is \['waves', 'shapes'\], not \['waves'\]"):
        train({"waves": paintings["waves"]}, folder, **SETTINGS, checkpoint=checkpoint, resume=True)
    with pytest.raises(CheckpointError, match="its photographs is 4, not 1"):
        train(paintings, folder / "inner", **SETTINGS, checkpoint=checkpoint, resume=True)
    other = paintings | {"shapes": paintings["shapes"][::-1]}
    with pytest.raises(CheckpointError, match="its checksum of the paintings is [0-9a-f]{8}, not [0-9a-f]{8}"):
        train(other, folder, **SETTINGS, checkpoint=checkpoint, resume=True)


def test_checkpoints_that_cannot_be_gone_on_from(folder, paintings, checkpoint, tmp_path):
    def resume(path):
        return train(paintings, folder, **SETTINGS, checkpoint=path, resume=True)

    with pytest.raises(CheckpointError, match="there is no checkpoint to go on from: give its file"):
        resume(None)
    with pytest.raises(CheckpointError, match="there is no checkpoint .*missing.npz"):
        resume(tmp_path / "missing.npz")
    painting = checkpoints.write(tmp_path / "painting.npz", {"settings": {}}, {"picture": np.zeros((4, 4, 3))})
    with pytest.raises(CheckpointError, match="painting.npz is a checkpoint of a painting, not of a training"):
        resume(painting)
    header, arrays = checkpoints.read(checkpoint)
    other = checkpoints.write(tmp_path / "other.npz", header, dict(list(arrays.items())[1:]))
    with pytest.raises(CheckpointError, match="the checkpoint is of another network"):
        resume(other)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="run.npz is not a checkpoint, or is damaged"):
        resume(checkpoint)


def test_learning_the_vectors_alone_leaves_the_kernels_as_they_are(folder, paintings, unbroken):
    new = {"waves": paintings["waves"], "new": paintings["shapes"][::-1]}
    file = train(new, folder, **SETTINGS | {"steps": 1}, start=unbroken.file, vector_only=True)
    assert set(file.weights) == set(unbroken.file.weights)
    for name, kernel in file.weights.items():
        np.testing.assert_array_equal(kernel, unbroken.file.weights[name])
    mean = np.mean(list(unbroken.file.styles.values()), axis=0)
    for name, first in (("waves", unbroken.file.styles["waves"]), ("new", mean)):
        assert 1e-6 < np.abs(file.styles[name] - first).max() < 0.1


def test_a_training_sets_out_from_a_trained_network(folder, paintings, unbroken):
    """After one epoch at a low rate, it is still near."""
    settings = SETTINGS | {"steps": 1, "learning_rate": 1e-6}
    file = train(paintings, folder, **settings, start=unbroken.file, seed=5)
    assert_equal(file, unbroken.file, atol=1e-4)
    assert any(np.any(file.weights[name] != kernel) for name, kernel in unbroken.file.weights.items())


def test_one_photograph_is_enough(folder, paintings, formula, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(callbacks, "save_image", lambda picture, path: drawn.append(path))
    (tmp_path / "one.png").write_bytes((folder / "chelsea_cat.png").read_bytes())
    for name in ("bad.jpg", "worse.jpg"):
        (tmp_path / name).write_text("not a picture")
    file = train(paintings, tmp_path, **SETTINGS | {"steps": EPOCH, "progress": None, "samples": "samples.png"})
    assert file.about["photographs"] == 1
    assert all(np.all(np.isfinite(array)) for array in [*file.weights.values(), *file.styles.values()])
    left_out = f"nst: left out 2 files that are no pictures, as {tmp_path / 'bad.jpg'}.\n"
    assert capsys.readouterr().err == left_out  # and nothing of the training, as no minute has passed;
    assert len(drawn) == 1  # samples are drawn at the end


def test_of_very_many_photographs_some_are_taken(folder, paintings, at_once, monkeypatch, capsys):
    for module in (photos, training):
        monkeypatch.setattr(module, "MAX_PHOTOS", 3)
    file = train(paintings, folder, **SETTINGS | {"steps": EPOCH})
    assert file.about["photographs"] == 3
    assert capsys.readouterr().err == "nst: took 3 of the 4 photographs, at random.\n"


def test_what_is_said_and_drawn_every_minute(folder, paintings, formula, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(callbacks, "save_image", lambda picture, path: drawn.append(path))
    for name in ("PRINT_SECONDS", "SAMPLE_SECONDS"):
        monkeypatch.setattr(callbacks, name, -1)
    train(paintings, folder, **SETTINGS | {"progress": None, "samples": tmp_path / "samples.png"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == EPOCHS and len(drawn) == EPOCHS + 1  # and at the end
    assert all(re.fullmatch(LINE, line) for line in lines), lines
    assert lines[-1].endswith("00:00 left")


LINE = r"loss \d+\.\d+ \(content \d+\.\d+, style \d+\.\d+\), \d+ pictures/s, \d\d:\d\d left"


def test_logs_for_tensorboard(folder, paintings, formula, tmp_path, monkeypatch):
    logs = {"steps": EPOCH, "tensorboard": tmp_path / "logs"}
    if importlib.util.find_spec("tensorflow") and importlib.util.find_spec("tensorboard"):
        train(paintings, folder, **SETTINGS | logs)
        assert list((tmp_path / "logs").rglob("events.out.tfevents.*"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="TensorBoard's logs need the package tensorflow: pip install tensorflow"):
        train(paintings, folder, **SETTINGS | logs)


@pytest.fixture
def trainers(monkeypatch):
    """The trainers that `train` makes."""
    made = []

    class Noted(StyleTrainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(training, "StyleTrainer", Noted)
    return made


def test_after_a_nan_a_training_steps_back_and_goes_on_more_slowly(folder, paintings, trainers, tmp_path):
    seen, rates = [], []

    def disturb():
        styles = trainers[0].styles
        seen.append(ops.convert_to_numpy(styles).copy())
        rates.append(float(ops.convert_to_numpy(trainers[0].optimizer.learning_rate)))
        if len(seen) == 1:
            styles.assign(ops.full(styles.shape, math.nan))

    path = tmp_path / "run.npz"
    settings = SETTINGS | {"steps": 4 * EPOCH}
    file = train(paintings, folder, **settings, checkpoint=path, should_stop=disturb)
    np.testing.assert_array_equal(seen[1], seen[0])
    assert np.any(seen[2] != seen[1])
    header, _ = checkpoints.read(path)
    assert header["caution"] == 0.5 and header["epochs"] == 4
    assert rates[2] == pytest.approx(0.5 * 2e-3 * (0.01 + 0.99 * 0.5), rel=1e-4)  # half of what is due halfway
    assert all(np.all(np.isfinite(array)) for array in [*file.weights.values(), *file.styles.values()])


KILLED = """
import os, signal, sys
import test_fast_training as t

t.make_small(setattr)
t.callbacks.CHECKPOINT_SECONDS = -1
fsync, calls = os.fsync, []

def die_on_the_second_call(descriptor):
    calls.append(descriptor)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)

os.fsync = die_on_the_second_call
t.train(t.load_paintings(), sys.argv[1], **t.SETTINGS, checkpoint=sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_killed_while_it_writes_a_checkpoint_it_has_the_one_before(folder, stopped, tmp_path):
    """Which is that of a training stopped there, from which it ends where an unbroken one ends."""
    path = tmp_path / "run.npz"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    killed = subprocess.run([sys.executable, "-c", KILLED, folder, path], env=environment, cwd=ROOT, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2  # the checkpoint, and half of the next
    (header, arrays), (expected_header, expected) = checkpoints.read(path), checkpoints.read(stopped)
    assert {**header, "seconds": 0.0} == {**expected_header, "seconds": 0.0} and header["epochs"] == 1
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"minutes": 1, "steps": 1}, "minutes and steps are both given: give one of them"),
        ({"minutes": 0}, "minutes is 0: give a number of at least 0.01"),
        ({"steps": 0}, "steps is 0: give a whole number of at least 1"),
        ({"steps": 1.5}, "steps is 1.5: give a whole number"),
        ({"batch": 0}, "batch is 0: give a whole number from 1 to 256"),
        ({"crop": 40}, "crop is 40: give a whole number from 48 to 1024"),
        ({"batch": 1_000_000}, "batch is 1000000"),
        ({"crop": 1_000_000}, "crop is 1000000"),
        ({"crop": 50}, "crop is 50: give a multiple of 4, as 256"),
        ({"learning_rate": 0}, "learning rate is 0: give a number of at least 1e-06"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"seed": 2**32}, "seed is 4294967296: give a whole number from 0 to 4294967295"),
        ({"vector_only": True}, "needs a trained network to set out from: give one with --from"),
        ({"backbone": "vgg"}, "unknown backbone 'vgg': did you mean"),
    ],
)
def test_settings_that_do_not_fit(folder, paintings, settings, message):
    with pytest.raises(SettingsError, match=message):
        train(paintings, folder, **settings)


def test_a_batch_that_does_not_fit_into_the_memory(folder, paintings, monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(StyleTrainer, "compute_loss", no_memory)
    with pytest.raises(SettingsError, match="for a batch of 2 cuts of .* on pocket. Give a smaller batch"):
        train(paintings, folder, **SETTINGS)


def test_no_paintings_and_no_pictures(folder):
    with pytest.raises(SettingsError, match="no paintings given: there is no style to learn"):
        train({}, folder)
    with pytest.raises(PictureError, match="the painting waves"):
        train({"waves": np.zeros((64, 64))}, folder)
