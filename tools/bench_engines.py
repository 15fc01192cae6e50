"""Measure a step of painting on every engine; write the table in docs/engines.md, and docs/engines.json.

    python tools/bench_engines.py .venv .venv-engines      every engine of these environments (some minutes on two cores)
    NST_BENCH_QUICK=out/bench python tools/bench_engines.py .venv     a try on tiny pictures, which writes there

Each cell is measured in a process of its own; let nothing else run. Cells that this machine cannot measure keep what was
measured elsewhere, so that the GPU's are filled by the same command where there is one.
"""

import datetime
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_common import FOLDER, QUICK, ROOT, peak_gigabytes, pictures, random_vgg19
from bench_page import processor

ENGINES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
DEVICES, PRECISIONS = ("CPU", "GPU"), ("float32", "bfloat16")
LOADS = {
    "pocket": ("the pocket VGG, 256 x 256 pixels", 256, 60),  # what it is, pixels, steps on a processor
    "vgg19": ("VGG19, 512 x 512 pixels", 512, 12),
}
GPU_STEPS = 1000
ON_GPU = ("pocket", "vgg19", "vgg19 adam")  # in this order, in one process, as its peak of memory only grows
BEGIN, END = "<!-- the table: made by tools/bench_engines.py -->\n", "<!-- the end of the table -->\n"


def measure(engine: str, device: str, precision: str, load: str, optimizer: str = "lbfgs") -> dict[str, Any] | None:
    """Seconds and GB of one cell, in this process; None without such a device."""
    from nst_lib.engine import start_engine

    assert start_engine() == engine
    from nst_lib import autodiff
    from nst_lib.painting import Painting, paint

    if (device == "GPU") != bool(autodiff.gpus()):
        return None
    _, size, steps = LOADS[load]
    size, steps = (64, 4) if QUICK else (size, GPU_STEPS if device == "GPU" else steps)
    content, style = (picture[:384, :384] for picture in pictures("astronaut", "hokusai_great_wave"))
    with tempfile.TemporaryDirectory() as folder:
        weights = random_vgg19(folder) if load == "vgg19" else None
        painting = Painting(content, style, backbone=load, weights=weights, size=size, steps=2 * steps, pyramid=1,
                            sketch=False, precision=precision, init="noise", optimizer=optimizer)  # fmt: skip
    states = list(paint(painting, every=steps))  # the first half warms up, and both wait for the device at their end
    return {
        "seconds": (states[1].seconds - states[0].seconds) / steps,
        "gigabytes": peak_gigabytes() if device == "CPU" else gpu_gigabytes(engine),
        "machine": processor() if device == "CPU" else autodiff.gpus()[0],
        "version": importlib.metadata.version(engine),
        "date": str(datetime.date.today()),
    }


def gpu_gigabytes(engine: str) -> float:
    """The most that was allocated on the first GPU, by the engine's own account."""
    if engine == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9
    if engine == "torch":
        import torch

        return torch.cuda.max_memory_allocated() / 1e9
    import jax

    return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e9


def installed(python: str) -> list[str]:
    script = "import importlib.util, sys; print(*(name for name in sys.argv[1:] if importlib.util.find_spec(name)))"
    return subprocess.check_output([python, "-c", script, *ENGINES], text=True).split()


def run_cells(python: str, engine: str, device: str, precision: str, loads: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`measure` of loads, each "load" or "load optimizer", in a process of its own; without those that fail, whose reason
    is printed."""
    environment = os.environ | {"KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if device == "CPU":
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    else:  # or JAX and TensorFlow would take all of it at the start
        environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    command = [python, __file__, "--cells", engine, device, precision, *loads]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    cells = {}
    for line in process.stdout.splitlines():
        if line.startswith("RESULT "):
            load, cell = json.loads(line[7:])
            shown = f"{1000 * cell['seconds']:.3g} ms, {cell['gigabytes']:.2g} GB" if cell else f"no {device}"
            print(f"  {load}: {shown}", flush=True)
            cells |= {f"{engine} {device} {precision} {load}": cell} if cell else {}
    if process.returncode:
        print(f"  failed: {' '.join(process.stderr.strip().splitlines()[-1:]) or process.returncode}", flush=True)
    return cells


def keep(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add cells to those in docs/engines.json; all of them."""
    store = FOLDER / "engines.json"
    known = (json.loads(store.read_text()) if store.exists() else {}) | cells
    store.write_text(json.dumps(known, indent=1) + "\n")
    return known


def table(cells: dict[str, dict[str, Any]]) -> str:
    """All cells, with the machines below; what is not there was not measured."""
    lines = []
    for load, (what, _, _) in LOADS.items():
        lines += [f"One step of L-BFGS with {what}: milliseconds, and GB at most.", ""]
        lines += [f"| engine | {' | '.join(f'{d}, {p}' for d in DEVICES for p in PRECISIONS)} |"]
        lines += ["|---|" + "---|" * (len(DEVICES) * len(PRECISIONS))]
        for engine, name in ENGINES.items():
            shown = []
            for key in (f"{engine} {device} {precision} {load}" for device in DEVICES for precision in PRECISIONS):
                cell = cells.get(key)
                shown.append(f"{1000 * cell['seconds']:.3g} ms, {cell['gigabytes']:.2g} GB" if cell else "not measured")
            lines.append(f"| {name} | {' | '.join(shown)} |")
        lines.append("")
    adam = {key: cell for key, cell in cells.items() if key.endswith("adam")}
    if adam:
        shown = (f"{ENGINES[k.split()[0]]}, {k.split()[2]}: {1000 * c['seconds']:.3g} ms" for k, c in adam.items())
        lines += [f"One step of Adam with VGG19 on the GPU: {'; '.join(shown)}.", ""]
    for device in DEVICES:
        known = {key: cell for key, cell in cells.items() if key.split()[1] == device}
        machines = sorted({f"{cell['machine']}, {cell['date']}" for cell in known.values()})
        versions = sorted({f"{ENGINES[key.split()[0]]} {cell['version']}" for key, cell in known.items()})
        lines.append(
            f"{device}: {'; '.join(machines)} ({', '.join(versions)})." if known else f"{device}: not measured."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    if sys.argv[1:2] == ["--cells"]:
        for load in sys.argv[5:]:
            print("RESULT " + json.dumps([load, measure(*sys.argv[2:5], *load.split())]), flush=True)
        return
    page = FOLDER / "engines.md"
    if QUICK:
        FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "docs/engines.md", page)
    cells = keep({})
    for environment in sys.argv[1:] or [sys.prefix]:
        python = next((str(p) for p in (Path(environment, "bin/python"), Path(environment)) if p.is_file()), None)
        if python is None:
            sys.exit(f"{environment} is no Python environment: it has no bin/python")
        for engine in installed(python):
            for device in DEVICES:
                # On a processor, a process for each: its memory is what is measured.
                for loads in [[load] for load in LOADS] if device == "CPU" else [ON_GPU]:
                    for precision in PRECISIONS:
                        print(engine, device, precision, flush=True)
                        cells = keep(run_cells(python, engine, device, precision, loads))
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + BEGIN + "\n" + table(cells) + "\n" + END + rest.split(END)[1])
    print(f"Written: {page}, {FOLDER / 'engines.json'}")


if __name__ == "__main__":
    main()
