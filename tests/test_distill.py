"""tools/distill_pocket.py and tools/prune_pocket.py: a few steps on tiny pictures."""

import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from keras import ops
from PIL import Image

from nst_lib import checkpoints, load_backbone
from nst_lib.backbones import Backbone
from nst_lib.weights import POCKET_FILE, layer_shapes, read_weights

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import distill_parts
import distill_pocket
import prune_pocket

TINY = [
    f"--{name}={value}"
    for name, value in {
        "steps": 4, "batch": 2, "on-easels": 2, "easels": 3, "side": 32, "score-pairs": 1, "score-side": 48, "score-steps": 1
    }.items()
]  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), "uint8")):
        Image.fromarray(picture).resize((320, 280)).save(folder / f"{i}.jpg")
    return folder


@pytest.mark.slow
def test_distilled_stopped_and_resumed(photos, shared, tmp_path, monkeypatch, capsys):
    """A student learns, is after a stop where an unbroken one was, and is a pocket VGG to the library; its checkpoint serves
    it alone."""
    teacher = ["--weights", str(shared / "weights" / "vgg16_to_block5_conv1.npz")]
    unbroken, resumed = tmp_path / "unbroken.npz", tmp_path / "resumed.npz"
    with monkeypatch.context() as patched:
        patched.setattr(distill_pocket, "CHECKPOINT_SECONDS", -1)
        write, kept = checkpoints.write, {}

        def write_and_keep(path, header, arrays):
            write(path, header, arrays)
            kept[header["step"]] = path.read_bytes()

        patched.setattr(checkpoints, "write", write_and_keep)
        distill_pocket.main([str(photos), "--out", str(unbroken), *teacher, *TINY])
    assert "content + 30 x style" in capsys.readouterr().out and list(kept) == [1, 2, 3, 4]

    goes_on = tmp_path / "resumed.checkpoint.npz"
    goes_on.write_bytes(kept[2])
    with monkeypatch.context() as patched:
        learn = distill_parts.Student.train_on_batch

        def learn_and_stop(self, *arguments):
            signal.raise_signal(signal.SIGTERM)
            return learn(self, *arguments)

        patched.setattr(distill_parts.Student, "train_on_batch", learn_and_stop)
        with pytest.raises(SystemExit, match="Stopped at step 3 of 4. The same command goes on."):
            distill_pocket.main([str(photos), "--out", str(resumed), *teacher, *TINY])
    assert not resumed.exists()
    (tmp_path / "third.npz").write_bytes(kept[3])
    (header, ours), (expected, theirs) = checkpoints.read(goes_on), checkpoints.read(tmp_path / "third.npz")
    assert header == expected
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-6 * np.abs(array).max(), err_msg=name)

    learnt = read_weights(unbroken, "pocket")
    start = distill_parts.Student(
        load_backbone("vgg16", teacher[1]), dict.fromkeys(layer_shapes("pocket"), 1.0), "float32"
    )
    for layer, arrays in learnt.items():
        assert np.abs(arrays["bias"]).max() > np.abs(start.arrays()[f"{layer}/bias"]).max() == 0
    seen = load_backbone("pocket", weights=unbroken)(np.full((32, 32, 3), 0.5, "float32"), ["block5_conv1"])
    assert np.isfinite(ops.convert_to_numpy(seen["block5_conv1"])).all()
    with pytest.raises(
        SystemExit, match=r"resumed.checkpoint.npz is of another distillation: .*'seed': 0.* not .*'seed': 1"
    ):
        distill_pocket.main([str(photos), "--out", str(resumed), *teacher, *TINY, "--seed", "1"])


def test_a_head_has_the_inner_products_of_the_projection():
    backbone = Backbone("vgg16", {}, "max", "zeros", "float32")
    student = distill_parts.Student(backbone, dict.fromkeys(layer_shapes("pocket"), 3.0), "float32")
    arrays = student.arrays()
    pictures = np.random.default_rng(0).random((1, 32, 32, 3), "float32")
    projected = ops.convert_to_numpy(student(pictures)["block3_conv1"]) * 3.0
    weights = {layer: {} for layer in layer_shapes("pocket")}
    for name, array in arrays.items():
        layer, _, kind = name.partition("/")
        weights[layer][kind] = array.astype("float32")
    seen = ops.convert_to_numpy(
        Backbone("pocket", weights, "max", "zeros", "float32")(pictures, ["block3_conv1"])["block3_conv1"]
    )
    a, b = (x.reshape(-1, x.shape[-1]).astype("float64") for x in (projected, seen))
    np.testing.assert_allclose(b @ b.T, a @ a.T, atol=0.01 * np.abs(a @ a.T).max())


def test_the_score_of_the_shipped_file(shared, capsys):
    """A few steps on the pocket VGG already bring the photograph nearer to the painting in the teacher's eyes."""
    weights = str(shared / "weights" / "vgg16_to_block5_conv1.npz")
    small = ["--score-pairs", "1", "--score-side", "64", "--score-steps", "12"]
    distill_pocket.main(["--score", str(POCKET_FILE), "--weights", weights, *small])
    before, after = re.findall(r"content ([\d.]+), style ([\d.]+)", capsys.readouterr().out)
    assert float(before[0]) == 0 < float(after[0])
    assert float(after[1]) < 0.8 * float(before[1])


def test_without_photographs(capsys):
    with pytest.raises(SystemExit):
        distill_pocket.main([])
    assert "give a folder of photographs, or --score FILE" in capsys.readouterr().err


def test_a_teacher_that_is_too_shallow(photos, shared, tmp_path):
    weights = shared / "weights" / "vgg19_block1_to_block3.npz"
    with pytest.raises(SystemExit, match="unknown layer of vgg19 'block4_conv1'"):
        distill_pocket.main(
            [str(photos), "--out", str(tmp_path / "a.npz"), "--teacher", "vgg19", "--weights", str(weights)]
        )


@pytest.mark.parametrize("square", [False, True])
def test_pruning_takes_away_what_is_silent_and_nothing_else(square):
    """A network in which some channels were silenced, against the one without them."""
    random, weights, kept = np.random.default_rng(0), read_weights(POCKET_FILE, "pocket"), {}
    for layer, arrays in weights.items():
        silent = random.choice(len(arrays["bias"]), 7, replace=False)
        arrays["kernel"][..., silent], arrays["bias"][silent] = -np.abs(arrays["kernel"][..., silent]), -1e6
        kept[layer] = np.setdiff1d(np.arange(len(arrays["bias"])), silent)
    picture = random.random((48, 48, 3), "float32")
    peaks = prune_pocket.highest(weights, [picture])
    pruned = prune_pocket.prune(weights, {layer: np.flatnonzero(peak > 0) for layer, peak in peaks.items()}, square)
    layers = tuple(weights)
    for layer in layers:
        assert set(np.flatnonzero(peaks[layer] > 0)) <= set(kept[layer]), layer
        assert pruned[layer]["kernel"].shape[-1] == len(pruned[layer]["bias"]) <= len(kept[layer])
    without_heads = {layer: {k: v for k, v in arrays.items() if k != "head"} for layer, arrays in pruned.items()}
    expected = Backbone("pocket", weights, "max", "zeros", "float32")(picture, layers)
    seen = Backbone("pocket", without_heads, "max", "zeros", "float32")(picture, layers)
    for layer in layers:
        a = ops.convert_to_numpy(expected[layer]).reshape(-1, expected[layer].shape[-1]).astype("float64")
        b = ops.convert_to_numpy(seen[layer]).reshape(len(a), -1).astype("float64") @ pruned[layer]["head"]
        if square:
            np.testing.assert_allclose(b @ b.T, a @ a.T, atol=1e-4 * np.abs(a @ a.T).max(), err_msg=layer)
        else:
            np.testing.assert_allclose(b, a, atol=1e-5 * np.abs(a).max(), err_msg=layer)
