"""Export the style network, without its kernels, to the ONNX graph that `nst fast` runs: `make graph`.

Keras exports the network; then every kernel's values are replaced by the layer's name, under which ONNX Runtime is handed
those of a style file. The graph has to be made again only when `nst_lib/fast/network.py` changes.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from nst_lib.engine import start_engine
from nst_lib.fast.running import GRAPH_FILE


def main() -> None:
    start_engine()
    from keras import ops

    from nst_lib.fast.network import STYLE_LENGTH, build_network, get_kernels

    network = build_network()
    network([ops.zeros((1, 64, 64, 3)), ops.zeros((1, STYLE_LENGTH)), ops.zeros((1, STYLE_LENGTH)), ops.zeros((1,))])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        network.export(str(path), format="onnx", verbose=False)
        model = onnx.load(path)
    replaced = []
    for initializer in model.graph.initializer:
        values = numpy_helper.to_array(initializer)
        for layer, kernel in get_kernels(network).items():
            if values.size == kernel.size and np.array_equal(values, kernel.transpose(3, 2, 0, 1)):
                _make_external(initializer, layer)
                rename = {initializer.name: layer}
                initializer.name = layer
                for node in model.graph.node:
                    node.input[:] = [rename.get(name, name) for name in node.input]
                replaced.append(layer)
    if sorted(replaced) != sorted(get_kernels(network)):
        raise SystemExit(f"of the kernels, only these were found in the graph: {replaced}")
    for value, name in zip(model.graph.output, ("pastiche", "own_statistics"), strict=True):
        for node in model.graph.node:
            node.output[:] = [name if output == value.name else output for output in node.output]
            node.input[:] = [name if given == value.name else given for given in node.input]
        value.name = name
    model.producer_name, model.doc_string = "nst_lib", "The style network of nst_lib, without its kernels."
    GRAPH_FILE.write_bytes(model.SerializeToString())
    print(f"{GRAPH_FILE}: {GRAPH_FILE.stat().st_size:,} bytes")


def _make_external(initializer: TensorProto, layer: str) -> None:
    initializer.ClearField("raw_data")
    initializer.data_location = TensorProto.EXTERNAL
    del initializer.external_data[:]
    initializer.external_data.add(key="location", value=layer)


if __name__ == "__main__":
    main()
