"""A trained style as one ONNX file, for other programs, other languages and machines without Python."""

import json
import os
from pathlib import Path

import numpy as np

from nst_lib.errors import SettingsError, StyleError
from nst_lib.fast.running import GRAPH_FILE, METADATA
from nst_lib.fast.styles import Style
from nst_lib.files import atomic_write


def export_onnx(style: Style, path: str | os.PathLike) -> Path:
    """Write a style, or a blend, to an ONNX file: Keras' own export of the network, with the style's kernels filled in.

    Its input `picture` is (n, h, w, 3), RGB in [0, 1], h and w multiples of 4; its first output is the pastiche, which is to
    be clipped to [0, 1]. The network's other inputs (see `build_network`) have defaults and may be left out: the style is
    this one, for n = 1.

    Raises:
        SettingsError: if the package onnx is not installed, or the style came from an ONNX file.
        StyleError: if the file cannot be written.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as problem:
        raise SettingsError("exporting needs the package onnx: pip install onnx.") from problem
    if not style.file.weights:
        raise SettingsError("this style came from an ONNX file: copy that.")
    model = onnx.load_from_string(GRAPH_FILE.read_bytes())
    for initializer in model.graph.initializer:
        if initializer.name in style.file.weights:
            kernel = style.file.weights[initializer.name].transpose(3, 2, 0, 1)
            initializer.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kernel), initializer.name))
    numbers = style.numbers[None].astype("float32")
    defaults = {"style": numbers, "statistics": np.zeros_like(numbers), "fixed": np.zeros(1, "float32")}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in defaults.items())
    about = {"name": " and ".join(style.shares), "numbers": [float(number) for number in style.numbers]}
    model.metadata_props.add(key=METADATA, value=json.dumps(about))
    onnx.checker.check_model(model)
    with atomic_write(path, StyleError) as file:
        file.write(model.SerializeToString())
    return Path(path)
