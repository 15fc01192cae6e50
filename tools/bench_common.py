"""What the rows of the benchmark share."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ROWS: dict[str, Callable[[], list[dict]]] = {}
PLAIN = {"tv_weight": 0.0, "padding": "zeros"}  # the loss of the literature: content and style only
QUICK = os.environ.get("NST_BENCH_QUICK")  # a folder: try the newer rows on tiny pictures, and write there
FOLDER = Path(QUICK) if QUICK else ROOT / "docs"


def row(function: Callable[[], list[dict]]) -> Callable[[], list[dict]]:
    ROWS[function.__name__] = function
    return function


def in_order() -> list[str]:
    """The rows' names: first those about other programs, last memory and the cost curves."""
    return sorted(ROWS, key=lambda n: (not n.startswith("peers"), n.startswith("memory"), n.startswith("cost")))


def result(what: str, measured: float | None, bar: float | None, unit: str, detail: str = "", **more: object) -> dict:
    """One line of the table; `measured` is None for what could not be measured, and for a time to something that was not
    `reached` (False in `more`). `more` may also hold a `verdict` in words, and `curves` {panel: {line: [[x, y], ...]}} with
    the name of their `figure` and its `axes`; `beside` {"title", "unit", "times": {program: time, or None for what it did
    not reach}} for the figure of what other programs take."""
    measured = None if measured is None else float(measured)
    met = None if bar is None or measured is None else measured <= bar
    return {"what": what, "measured": measured, "bar": bar, "unit": unit, "met": met, "detail": detail, **more}


def first_below(seconds: np.ndarray, losses: np.ndarray, target: float) -> float | None:
    """When a loss was first at most `target`."""
    reached = np.flatnonzero(losses <= target)
    return float(seconds[reached[0]]) if len(reached) else None


def pictures(content: str, style: str) -> tuple[np.ndarray, np.ndarray]:
    import nst_lib

    return (
        nst_lib.load_image(ROOT / "data" / "content" / f"{content}.jpg"),
        nst_lib.load_image(ROOT / "data" / "style" / f"{style}.jpg"),
    )


def random_vgg19(folder: str) -> Path:
    """VGG19 with random weights: as fast, and as large, as the real one."""
    from nst_lib.weights import layer_shapes

    random, arrays = np.random.default_rng(0), {}
    for layer, (inputs, outputs) in layer_shapes("vgg19").items():
        kernel = random.normal(scale=np.sqrt(2 / (9 * inputs)), size=(3, 3, inputs, outputs))
        arrays |= {f"{layer}/kernel": kernel.astype("float32"), f"{layer}/bias": np.zeros(outputs, "float32")}
    path = Path(folder) / "vgg19_random.npz"
    np.savez(path, **arrays)
    return path


def vgg16_file() -> Path:
    from nst_lib.weights import cached_file

    for path in (os.environ.get("NST_VGG16"), ROOT.parent / "shared" / "weights" / "vgg16_to_block5_conv1.npz"):
        if path and Path(path).is_file():
            return Path(path)
    if cached_file("vgg16").is_file():
        return cached_file("vgg16")
    sys.exit("VGG16's weights are not here; run `nst fetch vgg16` or set NST_VGG16")


def peak_gigabytes(whose: int = resource.RUSAGE_SELF) -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(whose).ru_maxrss * scale / 1e9
