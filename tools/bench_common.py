"""What the rows of the benchmark share."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ROWS: dict[str, Callable[[], list[dict]]] = {}


def row(function: Callable[[], list[dict]]) -> Callable[[], list[dict]]:
    ROWS[function.__name__] = function
    return function


def result(what: str, measured: float, bar: float | None, unit: str, detail: str = "", **more: object) -> dict:
    measured = float(measured)
    met = None if bar is None else measured <= bar
    return {"what": what, "measured": measured, "bar": bar, "unit": unit, "met": met, "detail": detail, **more}


def pictures(content: str, style: str) -> tuple[np.ndarray, np.ndarray]:
    import nst_lib

    return (
        nst_lib.load_image(ROOT / "data" / "content" / f"{content}.jpg"),
        nst_lib.load_image(ROOT / "data" / "style" / f"{style}.jpg"),
    )


def vgg16_file() -> Path:
    from nst_lib.weights import cached_file

    for path in (os.environ.get("NST_VGG16"), ROOT.parent / "shared" / "weights" / "vgg16_to_block5_conv1.npz"):
        if path and Path(path).is_file():
            return Path(path)
    if cached_file("vgg16").is_file():
        return cached_file("vgg16")
    sys.exit("VGG16's weights are not here; run `nst fetch vgg16` or set NST_VGG16")


def peak_gigabytes() -> float:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9
