"""Weights files: finding, fetching and reading them. The pocket VGG ships with the package; VGG16 and VGG19 do not.

Nothing is downloaded unasked: `fetch_weights` (on the command line `nst fetch vgg19`) is the only code that uses a network.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from nst_lib.errors import SettingsError, WeightsError
from nst_lib.files import DAMAGED

# Convolutions per block, and channels per block. The pocket VGG stops at block5_conv1, where style transfer does.
ARCHITECTURES = {
    "pocket": ((2, 2, 3, 3, 1), (24, 48, 96, 128, 128)),
    "vgg16": ((2, 2, 3, 3, 3), (64, 128, 256, 512, 512)),
    "vgg19": ((2, 2, 4, 4, 4), (64, 128, 256, 512, 512)),
}
POCKET_FILE = Path(__file__).parent / "assets" / "pocket_vgg.npz"
# The files that keras.applications downloads, with the MD5 sums that it publishes for them.
_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
_NO_TOP = "weights_tf_dim_ordering_tf_kernels_notop.h5"
DOWNLOADS = {
    "vgg16": (f"{_KERAS_FILES}/vgg16/vgg16_{_NO_TOP}", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": (f"{_KERAS_FILES}/vgg19/vgg19_{_NO_TOP}", "253f8cb515780f3b799900260a226db6"),
}
LayerWeights = dict[str, dict[str, np.ndarray]]  # {"block1_conv1": {"kernel": (3, 3, in, out), "bias": (out,)}, ...}


def layer_shapes(network: str) -> dict[str, tuple[int, int]]:
    """`{layer name: (input channels, output channels)}` of a network's convolutions, from the picture downwards."""
    shapes, channels = {}, 3
    for block, (convolutions, width) in enumerate(zip(*ARCHITECTURES[network], strict=True), start=1):
        for convolution in range(1, convolutions + 1):
            shapes[f"block{block}_conv{convolution}"] = (channels, width)
            channels = width
    return shapes


def receptive_fields(network: str) -> dict[str, tuple[int, int]]:
    """`{layer name: (stride, sees)}`: pixels between two activations, and the side of the square that one depends on."""
    fields, stride, sees = {}, 1, 1
    for layer in layer_shapes(network):
        if layer.endswith("_conv1") and layer != "block1_conv1":
            sees += stride  # the pooling before the block
            stride *= 2
        sees += 2 * stride
        fields[layer] = stride, sees
    return fields


def cached_file(network: str) -> Path:
    """Where `network`'s weights are expected: in the package for the pocket VGG, else in Keras' own download folder."""
    if network == "pocket":
        return POCKET_FILE
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return home / "models" / DOWNLOADS[network][0].rsplit("/", 1)[1]


def find_weights(network: str) -> Path:
    """The file with `network`'s weights.

    Raises:
        WeightsError: if it is not on this machine; the message says how to get it.
    """
    path = cached_file(network)
    if not path.is_file():
        raise WeightsError(
            f"the weights of {network} are not on this machine (looked for {path}). Run `nst fetch {network}`, or name a "
            "file with --weights (weights= in Python), or use the pocket VGG, which needs no download."
        )
    return path


def fetch_weights(network: str, *, timeout: float = 20.0, progress: bool = True) -> Path:
    """Download `network`'s weights (58 MB for vgg16, 80 MB for vgg19) to where Keras keeps them; check; return the file.

    An interrupted download goes on where it stopped. A file that is already there and whole is not fetched again.

    Raises:
        SettingsError: for a network that is not to be downloaded.
        WeightsError: without a network, or if what arrived is not the published file.
    """
    if network not in DOWNLOADS:
        raise SettingsError(
            f"nothing to fetch for {network!r}: choose from {', '.join(DOWNLOADS)} (pocket is built in)."
        )
    url, md5 = DOWNLOADS[network]
    path = cached_file(network)
    if path.is_file() and _md5(path) == md5:
        return path
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial, timeout, progress)
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise WeightsError(
            f"could not download {network}: {reason}. What has arrived is kept; run the command again to go on. On a machine "
            f"without a network, download\n  {url}\nelsewhere and put it at\n  {path}"
        ) from problem
    if _md5(partial) != md5:
        partial.unlink()
        raise WeightsError(
            f"what {url} sent is not the published file (its MD5 sum differs); deleted. Try again later."
        )
    partial.replace(path)
    return path


def _download(url: str, partial: Path, timeout: float, progress: bool) -> None:
    """Append to `partial` what it lacks of `url`."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as problem:
        if problem.code == 416:  # "range not satisfiable": all of it is here already
            return
        raise
    with response:
        if have and response.status != 206:  # a server that cannot resume sends everything again
            have = 0
        total = have + int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=partial.stem, disable=not progress)
        with open(partial, "ab" if have else "wb") as file, bar:
            while chunk := response.read(1 << 18):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and partial.stat().st_size < total:
        raise OSError(f"the connection ended after {partial.stat().st_size} of {total} bytes")


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def read_weights(path: str | os.PathLike, network: str) -> LayerWeights:
    """Read a weights file of `network`: `.npz` with `layer/kernel` and so on, or Keras' `.h5` / `.weights.h5`.

    Returns:
        `{layer: {"kernel": (3, 3, in, out), "bias": (out,)}}`, float32; the pocket VGG's layers also have a `"head"`
        (out, out). A file may end at a shallower layer than the network does.

    Raises:
        WeightsError: if the file is missing, damaged, of another network, or holds NaN or infinite numbers.
    """
    path = Path(path)
    if not path.is_file():
        fetch = f", or run `nst fetch {network}`" if network in DOWNLOADS else ""  # the pocket VGG is built in
        raise WeightsError(f"there is no weights file {path}. Check the path{fetch}.")
    if path.suffix == ".h5" and network not in DOWNLOADS:
        of = next((name for name in DOWNLOADS if name in path.name), "vgg19")
        raise WeightsError(
            f"{path} is not a file of {network}, the network chosen, whose files end in .npz. Choose the network that it is "
            f"of: add --backbone {of} (backbone= in Python)."
        )
    read = _read_npz if path.suffix == ".npz" else _read_keras
    try:
        arrays = read(path, network)
    except DAMAGED as problem:
        fetched = network in DOWNLOADS and path.resolve() == cached_file(network).resolve()
        hint = f"Delete it and run `nst fetch {network}`." if fetched else "Copy it again, or choose its network."
        raise WeightsError(
            f"{path} could not be read as weights of {network}: {str(problem).splitlines()[0]} The file is damaged or of "
            f"another network. {hint}"
        ) from problem
    _check(arrays, network, path)
    return arrays


def _read_npz(path: Path, network: str) -> LayerWeights:
    arrays: LayerWeights = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            layer, _, kind = key.partition("/")
            arrays.setdefault(layer, {})[kind] = file[key].astype("float32")
    return arrays


def _read_keras(path: Path, network: str) -> LayerWeights:
    from keras import applications

    if network not in DOWNLOADS:
        raise ValueError(f"only .npz files hold the {network} network.")
    constructors: dict[str, Any] = {"vgg16": applications.VGG16, "vgg19": applications.VGG19}
    model = constructors[network](include_top=False, weights=None)
    model.load_weights(path)
    layers = {layer: model.get_layer(layer).get_weights() for layer in layer_shapes(network)}
    return {layer: {"kernel": kernel, "bias": bias} for layer, (kernel, bias) in layers.items()}


def _check(arrays: LayerWeights, network: str, path: Path) -> None:
    shapes = layer_shapes(network)
    present = [layer for layer in shapes if layer in arrays]
    if not present or present != list(shapes)[: len(present)] or set(arrays) - set(shapes):
        found = ", ".join(sorted(arrays)[:3]) or "nothing"
        raise WeightsError(
            f"{path} is not a file of {network}: its layers are {found}, ...; expected {', '.join(shapes)}."
        )
    for layer in present:
        inputs, outputs = shapes[layer]
        expected = {"kernel": (3, 3, inputs, outputs), "bias": (outputs,)}
        if network == "pocket":
            expected["head"] = (outputs, outputs)
        received = {kind: array.shape for kind, array in arrays[layer].items()}
        if received != expected:
            raise WeightsError(f"{path} is not a file of {network}: {layer} has {received}, expected {expected}.")
        for kind, array in arrays[layer].items():
            if not np.isfinite(array).all():
                raise WeightsError(f"{path} is damaged: {layer}/{kind} holds NaN or infinite numbers. Fetch it again.")
