"""Running a style network: with ONNX Runtime, which needs no engine and is quick on a processor; with OpenVINO, which is
quicker still with many frames of one size; or with Keras. A picture at once, or a large one in tiles.
"""

import functools
import importlib.util
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nst_lib.errors import SettingsError, check_choice
from nst_lib.hardware import has_fast_bfloat16

# The network without its kernels, exported by Keras (`make graph`); ONNX Runtime is handed the kernels of a style file.
GRAPH_FILE = Path(__file__).parents[1] / "assets" / "style_network.onnx"
CELL = 4  # the network takes heights and widths that are multiples of this
METADATA = "nst_lib"  # the key under which an exported style carries its name and numbers
ENGINES = ("auto", "onnx", "openvino", "keras")
PACKAGES = {"onnx": ("onnxruntime", "ONNX Runtime"), "openvino": ("openvino", "OpenVINO")}
OPENVINO_THREAD = ThreadPoolExecutor(1, "nst-openvino")  # begins with its first frame
# Pixels: a picture of more is painted in tiles, so that memory does not grow with it. A telephone's 12 megapixels are not:
# that takes 1.5 GB at most, and two thirds of the time.
WHOLE = 12_500_000
TILE = 1024
MARGIN = 64  # around a tile; a pixel of the output depends on some 50 pixels around it
SAMPLES, SAMPLE_SIDE = 8, 256


class Runner(Protocol):
    """Runs one network in any of its styles."""

    def __call__(
        self, pictures: np.ndarray, style: np.ndarray, statistics: np.ndarray | None = None, fixed: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Paint (n, h, w, 3), h and w multiples of CELL; the arguments and results of `network.build_network`."""


def make_runner(
    weights: Mapping[str, np.ndarray], engine: str = "auto", alone: bool = True, frames: bool = False
) -> Runner:
    """A runner of the network with these kernels.

    Args:
        weights: kernels by layer, (height, width, in, out).
        engine: one of ENGINES; see `check_engine`.
        alone: see `OnnxRunner`.
        frames: whether it is for many pictures of one size.

    Raises:
        SettingsError: for an unknown engine, or one that is not installed.
    """
    engine = check_engine(engine, frames)
    if engine == "openvino":
        return OpenVINORunner(weights)
    return OnnxRunner(weights, alone=alone) if engine == "onnx" else KerasRunner(weights)


def check_engine(engine: str, frames: bool = False) -> str:
    """ "onnx", "openvino" or "keras", whichever runs. "auto" is ONNX Runtime where it is installed, else Keras; and for many
    `frames` of one size OpenVINO, where it is installed.

    Raises SettingsError if the engine is unknown or not installed.
    """
    check_choice("engine", engine, ENGINES)
    installed = {name: importlib.util.find_spec(module) is not None for name, (module, _) in PACKAGES.items()}
    if not installed.get(engine, True):
        module, name = PACKAGES[engine]
        raise SettingsError(f"{name} is not installed: pip install {module}, or choose the engine keras.")
    if engine != "auto":
        return engine
    if frames and installed["openvino"]:
        return "openvino"
    return "onnx" if installed["onnx"] else "keras"


class OnnxRunner:
    """ONNX Runtime, on the processor."""

    def __init__(
        self,
        weights: Mapping[str, np.ndarray] | None = None,
        exported: str | os.PathLike | None = None,
        alone: bool = True,
    ):
        """Take the kernels of a style file, or a file that `export_onnx` wrote.

        `alone` says that nothing else keeps the processor busy: then threads that wait for each other do so in a busy loop,
        which beside a browser at work would take twice the time.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(alone)))
        # ONNX has (out, in, height, width); the session reads these arrays, and they must live as long as it does.
        kernels = {name: np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)) for name, kernel in (weights or {}).items()}
        self._values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(kernel) for name, kernel in kernels.items()}
        if not exported:
            options.add_external_initializers(list(self._values), list(self._values.values()))
        model = Path(exported or GRAPH_FILE).read_bytes()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """What an exported style says of itself; {} if it is not one of ours."""
        return json.loads(self._session.get_modelmeta().custom_metadata_map.get(METADATA, "{}"))

    def __call__(
        self, pictures: np.ndarray, style: np.ndarray, statistics: np.ndarray | None = None, fixed: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner`."""
        n = len(pictures)
        statistics = np.zeros_like(style) if statistics is None else statistics
        values: dict[str, Any] = {"picture": pictures, "style": style, "statistics": statistics, "fixed": fixed}
        shapes = {"picture": pictures.shape, "style": (n, len(style)), "statistics": (n, len(style)), "fixed": (n,)}
        inputs = {name: np.ascontiguousarray(np.broadcast_to(v, shapes[name]), "float32") for name, v in values.items()}
        pastiches, own = self._session.run(None, inputs)
        return pastiches, own


class OpenVINORunner:
    """OpenVINO, on the processor. Where that is faster in bfloat16, this is used, and a pastiche differs by 0.002 on average
    from the others'. For each shape of pictures it compiles anew, which takes a fifth of a second.

    It has a thread of its own, one for all models: to the one that it runs in, OpenVINO gives a stack for signals, which it
    frees when the model goes, without taking it back. Ctrl-C in that thread would then crash Python.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._kernels = dict(weights)
        self._requests = functools.lru_cache(maxsize=4)(self._compile)

    def _compile(self, shape: tuple[int, ...]) -> Any:
        import openvino

        from nst_lib.fast.openvino_graph import build_model

        options = {"INFERENCE_PRECISION_HINT": _openvino_precision(), "PERFORMANCE_HINT": "LATENCY"}
        return openvino.compile_model(build_model(self._kernels, shape), "CPU", options).create_infer_request()

    def __call__(
        self, pictures: np.ndarray, style: np.ndarray, statistics: np.ndarray | None = None, fixed: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner`."""
        n = len(pictures)
        statistics = np.zeros_like(style) if statistics is None else statistics
        wide = (np.broadcast_to(numbers, (n, len(style)))[..., None, None] for numbers in (style, statistics))
        values = (pictures, *wide, np.full((n, 1, 1, 1), fixed))
        arrays = [np.ascontiguousarray(value, "float32") for value in values]
        return OPENVINO_THREAD.submit(self._infer, arrays).result()

    def _infer(self, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        request = self._requests(values[0].shape)
        request.infer(values, share_inputs=True)
        pastiches, own = (request.get_output_tensor(i).data.copy() for i in range(2))
        return pastiches, own


@functools.cache
def _openvino_precision() -> str:
    import openvino

    able = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if able and has_fast_bfloat16() is not False else "f32"


class KerasRunner:
    """Keras, on whatever engine runs."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        from nst_lib.engine import start_engine

        start_engine()
        from nst_lib import autodiff
        from nst_lib.fast.network import build_network, set_kernels

        network = build_network()
        set_kernels(network, weights)
        self._run = autodiff.compile_function(lambda *inputs: network(inputs, training=False))

    def __call__(
        self, pictures: np.ndarray, style: np.ndarray, statistics: np.ndarray | None = None, fixed: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runner`."""
        from keras import ops

        n = len(pictures)
        statistics = np.zeros_like(style) if statistics is None else statistics
        arrays = (pictures, np.tile(style, (n, 1)), np.tile(statistics, (n, 1)), np.full(n, fixed))
        pastiches, own = self._run(*(ops.convert_to_tensor(array, dtype="float32") for array in arrays))
        return ops.convert_to_numpy(pastiches), ops.convert_to_numpy(own)


def paint_picture(
    run: Runner, picture: np.ndarray, style: np.ndarray, statistics: np.ndarray | None = None, fixed: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Paint one picture (h, w, 3) of any size from 32 x 32; return the pastiche, in [0, 1], and its statistics.

    One of more than WHOLE pixels is painted tile by tile. All tiles are normalised by the same statistics, measured on
    samples from the whole picture, and overlap by what they see of each other, so that no seam shows. The whole picture at
    once would be a little different: by 0.02 to 0.035 on average, as samples do not tell all.
    """
    h, w = picture.shape[:2]
    if h * w <= WHOLE:
        padded = np.pad(picture, ((0, -h % CELL), (0, -w % CELL), (0, 0)), mode="reflect")
        pastiches, own = run(padded[None], style, statistics, fixed)
        return np.clip(pastiches[0, :h, :w], 0, 1), own[0]
    _, own = run(_samples(picture)[None], style, statistics, fixed)
    used = own[0] if statistics is None else own[0] + fixed * (statistics - own[0])
    pastiche = np.empty_like(picture)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            bottom, right = min(top + TILE, h), min(left + TILE, w)
            # A multiple of CELL on every side, so that all tiles fold the picture into the same cells.
            y, x = max(0, top - MARGIN), max(0, left - MARGIN)
            tile, _ = paint_picture(run, picture[y : bottom + MARGIN, x : right + MARGIN], style, used, 1.0)
            pastiche[top:bottom, left:right] = tile[top - y : bottom - y, left - x : right - x]
    return pastiche, own[0]


def _samples(picture: np.ndarray) -> np.ndarray:
    """A mosaic of pieces of a large picture, with statistics near its own: from the flattest to the liveliest, the latter
    always, or a bird in an even sky would be taken for a thing unheard of, and painted as a blot."""
    h, w = picture.shape[:2]
    side = min(SAMPLE_SIDE, h // CELL * CELL, w // CELL * CELL)
    rows, columns = (np.linspace(0, length - side, -(-length // side)).astype(int) for length in (h, w))
    pieces = [picture[y : y + side, x : x + side] for y in rows for x in columns]
    by_liveliness = np.argsort([_liveliness(piece) for piece in pieces], kind="stable")
    chosen = np.sort(by_liveliness[np.linspace(0, len(pieces) - 1, SAMPLES**2).round().astype(int)])
    lines = [chosen[i : i + SAMPLES] for i in range(0, SAMPLES**2, SAMPLES)]
    return np.concatenate([np.concatenate([pieces[number] for number in line], axis=1) for line in lines])


def _liveliness(piece: np.ndarray) -> float:
    """How much neighbours differ, and the whole from its mean, in grey."""
    grey = piece.mean(axis=-1)
    steps = [np.mean(np.square(np.diff(grey, axis=axis))) for axis in (0, 1)]
    return float(np.sqrt(sum(steps)) + 0.1 * grey.std())
