"""Measure how the loss curves along each frequency of each colour axis: the table CURVATURE in nst_lib/optimizers.py.

Textbook L-BFGS paints five pairs of pictures and remembers its steps s and the changes y of the gradient. In the cosine
transform, |y| / |s| and s.y / s.s are two estimates of the curvature in a band of frequencies; the table is their geometric
mean over both and over the pairs.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from bench import PAIRS, PLAIN
from keras import ops
from scipy.fft import dctn

import nst_lib
from nst_lib.optimizers import COLOUR_AXES, FREQUENCIES

DATA = Path(__file__).resolve().parents[1] / "data"
EDGES = (0, 0.006, 0.012, 0.025, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35, 0.5, 0.72)  # of the bands, in cycles per pixel
STEPS, WARM_UP = 60, 8


def curvature(content: str, style: str) -> np.ndarray:
    """(colour axes, bands), up to a factor."""
    photograph = nst_lib.load_image(DATA / "content" / f"{content}.jpg")
    painting = nst_lib.load_image(DATA / "style" / f"{style}.jpg")
    work = nst_lib.Painting(photograph, painting, steps=STEPS, precision="float32", **PLAIN)
    work.optimizer = replace(work.optimizer, memory=STEPS, preconditioned=False)
    work._state = work.optimizer.start(work._state["x"])
    for _ in nst_lib.paint(work):
        pass
    height, width = work.picture.shape[:2]
    frequency = np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width)[None] / (2 * width))
    ss, sy, yy = np.zeros((3, 3, len(FREQUENCIES)))
    pairs = zip(
        work._state["steps"], work._state["changes"], ops.convert_to_numpy(work._state["curvatures"]), strict=True
    )
    for s, y, known in list(pairs)[:-WARM_UP]:
        if known == 0:
            continue
        s, y = (dctn(ops.convert_to_numpy(v)[0] @ COLOUR_AXES, axes=(0, 1), norm="ortho") for v in (s, y))
        s, y = s / np.linalg.norm(s), y / np.linalg.norm(s)
        for band, (low, high) in enumerate(pairwise(EDGES)):
            inside = (frequency >= low) & (frequency < high)
            ss[:, band] += (s[inside] ** 2).sum(0)
            sy[:, band] += (s[inside] * y[inside]).sum(0)
            yy[:, band] += (y[inside] ** 2).sum(0)
    estimate = np.sqrt(np.sqrt(yy / ss) * np.maximum(sy / ss, 1e-3 * np.sqrt(yy / ss)))
    return estimate / estimate.mean()


table = np.exp(np.mean([np.log(curvature(*pair)) for pair in PAIRS[::2]], axis=0))
for axis in table / table.mean():
    print("(" + ", ".join(f"{value:.3f}" for value in axis) + "),")
