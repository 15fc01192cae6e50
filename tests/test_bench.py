"""The benchmark's page, and its comparison with other programs on tiny pictures and a VGG16 of random weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_lib.weights import layer_shapes

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import bench_gpu
import bench_page
import bench_peers
from bench_common import ROOT

RESULT = {"what": "a step", "measured": 2.0, "bar": 3.0, "unit": "s", "met": True, "detail": "of three"}
RESULT |= {"machine": "a laptop", "date": "2026-01-01"}


def test_the_page_has_a_verdict_and_a_command_for_each_row(tmp_path):
    pytest.importorskip("matplotlib", reason="the benchmark draws with matplotlib, which is in the extra `bench`")
    costs = {"a": [[64, 1.0], [128, 4.0]], "b": [[64, 2.0], [128, 9.0]]}
    rows = {
        "peers": [RESULT | {"bar": None, "met": None, "measured": None}],
        "fast": [RESULT | {"verdict": "twice as fast"}, RESULT | {"met": False, "measured": 4.0, "detail": ""}],
        "cost_size": [RESULT | {"figure": "benchmarks_costs", "axes": ["pixels", "s"], "curves": {"by size": costs}}],
    }
    assert bench_page.write_page(rows, tmp_path) == ["benchmarks.md", "benchmarks_costs.png"]
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| a step | not measured |  |  | `make bench ROWS=peers` |" in page
    assert "| a step | 2 s | 3 s | met, twice as fast | `make bench ROWS=fast` |" in page
    assert "| a step | 4 s | 3 s | **not met** | `make bench ROWS=fast` |" in page
    assert page.count("- a step: of three. a laptop, 2026-01-01.") == 3
    drawn = np.asarray(Image.open(tmp_path / "benchmarks_costs.png").convert("RGB")).reshape(-1, 3)
    for colour in bench_page.PALETTE[:2]:
        assert (drawn == tuple(bytes.fromhex(colour[1:]))).all(1).sum() > 100


def test_our_times_beside_other_programs(tmp_path):
    pytest.importorskip("matplotlib", reason="the benchmark draws with matplotlib, which is in the extra `bench`")
    beside = {"title": "To paint.", "unit": "s", "times": {"a peer": 40.0, "nst": 10.0}}
    missed = beside | {"times": {"another": 40.0, "nst": None}}
    rows = {"peers": [RESULT | {"beside": beside}, RESULT | {"beside": missed}], "fast": [RESULT]}
    assert bench_page.write_page(rows, tmp_path) == ["benchmarks.md", "benchmarks_beside.png"]
    assert "(benchmarks_beside.png)" in (tmp_path / "benchmarks.md").read_text()
    drawn = np.asarray(Image.open(tmp_path / "benchmarks_beside.png").convert("RGB")).reshape(-1, 3)
    bench_page.draw_beside(tmp_path / "gpu.png", {"gpu_peers": rows["peers"]})  # where nothing else was measured
    ours, theirs = (
        (drawn == tuple(bytes.fromhex(colour))).all(1).sum() for colour in (bench_page.PALETTE[0][1:], "bb" * 3)
    )
    assert theirs / ours == pytest.approx(8, rel=0.1)  # 40 + 40 to 10


def test_a_row_of_a_peer():
    seconds = {"peer": np.array([1.0, 2.0, 3.0]), "nst": np.array([0.5, 1.0, 1.5])}
    losses = {"peer": np.array([9.0, 4.0, 5.0]), "nst": np.array([9.0, 4.5, 3.0])}
    row = bench_peers.compare("peer", "VGG16", losses, seconds)
    assert row["measured"] == pytest.approx(1.5 / 2.0) and row["verdict"] == "1.3 times as fast"
    assert row["beside"]["times"] == {"peer": 2.0, "nst": 1.5}
    row = bench_peers.compare("peer", "VGG16", losses | {"nst": losses["nst"] + 2}, seconds)
    assert row["measured"] is None and not row["reached"] and row["verdict"] == "not reached: 5.000 for 4.000"


def test_what_was_never_reached_was_measured():
    assert bench_page.amount(RESULT | {"measured": None, "reached": False}) == "never"
    assert bench_page.amount(RESULT | {"measured": None}) == "not measured"


def test_the_rows_of_a_gpu():
    cells = {
        "jax GPU bfloat16 vgg19": {"seconds": 0.0012},
        "jax GPU bfloat16 vgg19 adam": {"seconds": 0.0008},
        "torch GPU float32 vgg19": {"seconds": 0.002},  # its Adam was not measured: no ratio
    }
    alone, step, ratio = sorted(
        bench_gpu.step_results(cells, "a GPU"), key=lambda r: "JAX" in r["what"] or r["unit"] == "x"
    )
    assert (alone["measured"], alone["bar"], alone["met"], alone["detail"]) == (2.0, 4.0, True, "1000 steps in 2.00 s")
    assert (step["measured"], step["bar"], step["met"], step["machine"]) == (1.2, 1.5, True, "a GPU")
    assert ratio["measured"] == pytest.approx(1.5) and not ratio["met"]
    assert bench_page.command("gpu_step") == "KERAS_BACKEND=jax python tools/bench.py gpu_step"


def test_without_a_gpu_its_rows_keep_what_was_measured(monkeypatch):
    monkeypatch.setattr(bench_gpu, "QUICK", None)
    monkeypatch.setattr(bench_gpu.shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="no GPU here"):
        bench_gpu.gpu_frame()


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow", reason="one of the peers is a program in TensorFlow"
)
def test_the_judge_counts_the_peers_losses_as_they_do_themselves(tmp_path):
    """In float32, by another program: that ours minimises the very same loss."""
    random = np.random.default_rng(0)
    pictures = {name: random.random((48, 48, 3), "float32") for name in ("content", "style")}
    np.savez(tmp_path / "pair.npz", **pictures)
    arrays = {}
    for layer, (inputs, outputs) in layer_shapes("vgg16").items():
        arrays[f"{layer}/kernel"] = random.normal(0, np.sqrt(2 / 9 / inputs), (3, 3, inputs, outputs)).astype("float32")
        arrays[f"{layer}/bias"] = np.zeros(outputs, "float32")
    np.savez(tmp_path / "vgg16.npz", **arrays)
    judge = bench_peers.Judge(tmp_path / "vgg16.npz", **pictures)
    programs = {bench_peers.TENSORFLOW: ("gatys_tensorflow.py", sys.executable)}
    if python := bench_peers.torch_python():
        programs[bench_peers.PYTORCH] = ("gatys_pytorch.py", python)
    first = {}
    for peer, (program, python) in programs.items():
        trace = bench_peers.run_peer(program, tmp_path, 12, python)
        assert (np.diff(trace["seconds"]) > 0).all() and len(trace["pictures"]) == len(trace["losses"]) >= 10
        np.testing.assert_array_equal(trace["pictures"][0].round(4), pictures["content"].round(4))
        judged = np.array([judge.distances(picture) @ judge.weights[peer] for picture in trace["pictures"]])
        np.testing.assert_allclose(judged / judged[0], trace["losses"] / trace["losses"][0], rtol=1e-3, err_msg=peer)
        first[peer] = judged[0]
    same = {"sketch": False, "precision": "float32", "steps": 2}
    ours = bench_peers.run_ours(tmp_path, {peer: judge.ours(peer) | same for peer in programs})
    for peer, loss in first.items():
        np.testing.assert_allclose(ours[peer]["losses"][0], loss, rtol=1e-3, err_msg=peer)


@pytest.mark.slow
def test_a_row_from_the_command_line(tmp_path):
    """A row, in a process of its own as always, and the page with it."""
    pytest.importorskip("matplotlib", reason="the benchmark draws with matplotlib, which is in the extra `bench`")
    command = [sys.executable, ROOT / "tools" / "bench.py", "cost_batch"]
    done = subprocess.run(command, env=os.environ | {"NST_BENCH_QUICK": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0 and "a frame of the best batch" in done.stdout, done.stderr
    (stored,) = tmp_path.glob("*.json")
    assert list(json.loads(stored.read_text())) == ["cost_batch"]
    assert "`make bench ROWS=cost_batch`" in (tmp_path / "benchmarks.md").read_text()
    unknown = subprocess.run([*command, "nothing"], capture_output=True, text=True)
    assert unknown.returncode == 1 and "unknown rows nothing; there are" in unknown.stderr
