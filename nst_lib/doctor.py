"""`nst doctor`: what this machine has, and how long a picture will take on it."""

import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from statistics import median

import numpy as np
import psutil

from nst_lib.engine import PACKAGES, start_engine
from nst_lib.errors import NSTError
from nst_lib.fast.styles import load_style, style_names
from nst_lib.weights import DOWNLOADS, POCKET_FILE, cached_file, read_weights


def check_machine() -> bool:
    """Print a line for each thing: OK, FAIL, or -- (absent, but only needed for some things). Return whether none failed."""
    failures, styles = 0, list[str]()

    def line(ok: bool | None, name: str, text: str) -> None:
        nonlocal failures
        failures += ok is False
        print(f"{'--' if ok is None else 'OK' if ok else 'FAIL':<5}{name:<16}{text}", flush=True)

    python = platform.python_version()
    line((3, 11) <= sys.version_info[:2] < (3, 14), "Python", f"{python} on {platform.system()} {platform.machine()}")
    memory = psutil.virtual_memory().available / 1e9
    line(memory > 1.5, "free memory", f"{memory:.1f} GB (a 256 px picture takes about 1 GB)")
    line(True, "cores", str(os.cpu_count()))
    try:
        read_weights(POCKET_FILE, "pocket")
        line(True, "pocket VGG", "built in")
    except NSTError as problem:
        line(False, "pocket VGG", str(problem))
    for module, package, use in (
        ("onnxruntime", "ONNX Runtime", "runs styles without an engine"),
        ("openvino", "OpenVINO", "makes films and the webcam faster"),
        ("av", "PyAV", "reads and writes films"),
        ("cv2", "OpenCV", "keeps films from flickering"),
    ):
        found = importlib.util.find_spec(module) is not None
        line(True if found else None, package, use if found else f'{use}: pip install ".[runtime]"')
    try:
        styles = style_names()
        line(True, "styles", f"{len(styles)} built in")
    except NSTError as problem:
        line(False, "styles", str(problem))
    for network in DOWNLOADS:
        path = cached_file(network)
        line(
            True if path.is_file() else None,
            network.upper(),
            str(path) if path.is_file() else f"not here; `nst fetch {network}`",
        )
    try:
        start_engine()
    except NSTError as problem:
        line(False, "engine", str(problem))
        return False
    from nst_lib import autodiff
    from nst_lib.painting import Painting, paint

    package = PACKAGES[autodiff.ENGINE]
    keras_version = importlib.metadata.version("keras")
    line(True, "engine", f"{package} {importlib.metadata.version(package)}, Keras {keras_version}")
    line(True if autodiff.gpus() else None, "GPU", ", ".join(autodiff.gpus()) or "none; the pocket VGG needs none")
    line(True, "precision", autodiff.fastest_dtype())
    noise = np.random.default_rng(0).uniform(size=(192, 256, 3)).astype("float32")
    painting = Painting(noise, noise[:, ::-1].copy(), backbone="pocket", steps=8)
    for _state in paint(painting):
        pass
    seconds = painting.timing.optimize / painting.step_count * 100 + painting.timing.compile + painting.timing.targets
    line(True, "speed", f"about {seconds:.0f} s for a 256 px picture, after start-up")
    if styles:
        style, frame = load_style(styles[0], frames=True), np.full((480, 640, 3), 0.5, "float32")
        times = []
        for _ in range(6):  # of which the first compiles
            started = time.perf_counter()
            style(frame)
            times.append(time.perf_counter() - started)
        line(True, "fast styles", f"{1000 * median(times[1:]):.0f} ms for a frame of 640 x 480")
    return failures == 0
