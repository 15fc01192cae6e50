"""Drop the channels of a pocket VGG that never fire: prune_pocket.py PHOTOS --out FILE [--weights FILE]

A ReLU that gives 0 for every picture costs time and changes nothing: its channel goes, with the kernels that make it, those
that read it, and its row of the head. The survey: the bundled pictures at 256 and 512 px, PHOTOS (a folder), noise, and
pictures while they are painted, from noise and from photographs, at several style weights. Then, for what no picture showed,
an attack: pictures that are optimised to make each silent channel fire. The file has widths of its own, layer by layer:
`Backbone("pocket", ...)` takes its arrays; `load_backbone` reads files of the shipped widths.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from keras import ops
from tqdm.auto import tqdm

import nst_lib
from nst_lib import autodiff
from nst_lib.backbones import IMAGENET_MEAN_BGR
from nst_lib.files import atomic_write, check_writable
from nst_lib.weights import POCKET_FILE, LayerWeights, read_weights

ROOT = Path(__file__).resolve().parents[1]
PAIRS = (
    ("chelsea_cat", "hokusai_great_wave"),
    ("astronaut", "kandinsky_composition_viii"),
    ("kingfisher", "texture_gravel"),
    ("china_temple", "vangogh_cafe_terrace"),
)
STYLE_WEIGHTS = (0.03, 1.0, 30.0)
LOOKS = 12  # at each picture while it is painted


def before_relu(weights: LayerWeights, pictures: object) -> dict[str, object]:
    """What enters each layer's ReLU, `{layer: (n, h, w, channels)}`, for pictures (n, h, w, 3) in [0, 1]."""
    x = ops.flip(pictures, axis=-1) * 255.0 - ops.array(IMAGENET_MEAN_BGR, dtype="float32")
    seen = {}
    for layer, arrays in weights.items():
        if layer.endswith("_conv1") and layer != "block1_conv1":
            x = ops.max_pool(x, 2, strides=2)
        x = seen[layer] = ops.add(ops.conv(x, arrays["kernel"], padding="same"), arrays["bias"])
        x = ops.relu(x)
    return seen


def highest(weights: LayerWeights, pictures: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """The highest value that enters each channel's ReLU in any of the pictures: `{layer: (channels,)}`."""
    peaks = {layer: np.full(len(arrays["bias"]), -np.inf, "float32") for layer, arrays in weights.items()}
    look = autodiff.compile_function(
        lambda x: {layer: ops.max(value, axis=(0, 1, 2)) for layer, value in before_relu(weights, x).items()}
    )
    for picture in pictures:
        for layer, peak in look(ops.convert_to_tensor(picture[None], dtype="float32")).items():
            peaks[layer] = np.maximum(peaks[layer], ops.convert_to_numpy(peak))
    return peaks


def bundled() -> Iterator[np.ndarray]:
    """The bundled photographs and paintings, as they are cut for 256 and for 512 px, in a few shapes only."""
    for file in sorted((ROOT / "data").glob("*/*.jpg")):
        picture = nst_lib.load_image(file, 768)
        for side in (256, 512):
            yield nst_lib.images.crop_to_fit(picture, side, side)


def photographs(folder: Path, count: int) -> Iterator[np.ndarray]:
    files = sorted(folder.rglob("*.jpg"))
    for file in files[:: max(1, len(files) // count)]:
        yield nst_lib.images.crop_to_fit(nst_lib.load_image(file), 256, 256)


def noise() -> Iterator[np.ndarray]:
    """Uniform noise of several grains and contrasts, and flat pictures."""
    random = np.random.default_rng(0)
    for grain in (1, 2, 4, 8, 16):
        for contrast in (1.0, 0.5, 0.1):
            cells = random.uniform(size=(256 // grain, 256 // grain, 3)).astype("float32")
            yield 0.5 + contrast * (cells.repeat(grain, 0).repeat(grain, 1) - 0.5)
    for colour in np.ndindex(3, 3, 3):
        yield np.full((256, 256, 3), np.array(colour) / 2, "float32")


def half_painted(steps: int, weights: Path) -> Iterator[np.ndarray]:
    """Pictures while they are painted: what an optimiser shows the network."""
    for content, style in PAIRS:
        pictures = [
            nst_lib.images.crop_to_fit(nst_lib.load_image(ROOT / "data" / kind / f"{name}.jpg"), 256, 256)
            for kind, name in (("content", content), ("style", style))
        ]
        for init in ("noise", "content"):
            for weight in STYLE_WEIGHTS:
                painting = nst_lib.Painting(
                    *pictures, steps=steps, init=init, style_weight=weight, precision="float32", weights=weights
                )
                for state in nst_lib.paint(painting):
                    if state.step in (1, 2, 3, 5) or state.step % max(1, steps // LOOKS) == 0:
                        yield np.clip(ops.convert_to_numpy(painting._state["x"])[0], 0, 1)
                yield painting.picture


def attack(weights: LayerWeights, silent: dict[str, np.ndarray], steps: int, side: int = 64) -> dict[str, np.ndarray]:
    """The highest value that enters each silent channel's ReLU when pictures are optimised for just that, from noise."""
    peaks = {}
    for layer, channels in silent.items():
        if not len(channels):
            continue
        upto = {name: arrays for name, arrays in weights.items() if name <= layer}
        best = np.full(len(channels), -np.inf, "float32")
        for start in range(0, len(channels), 16):
            some = channels[start : start + 16]

            def value(x: object, some: np.ndarray = some, upto: LayerWeights = upto, layer: str = layer) -> tuple:
                entering = before_relu(upto, x)[layer]
                own = ops.stack([entering[i, ..., channel] for i, channel in enumerate(some)])
                peak = ops.max(own, axis=(1, 2))
                return -ops.sum(peak + ops.mean(own, axis=(1, 2))), peak

            ascend = autodiff.compile_function(lambda x, value=value: autodiff.value_and_gradient(value, x)[1:])
            x = np.random.default_rng(0).uniform(size=(len(some), side, side, 3)).astype("float32")
            first, second = np.zeros_like(x), np.zeros_like(x)
            for step in range(1, steps + 1):
                peak, gradient = (ops.convert_to_numpy(part) for part in ascend(ops.convert_to_tensor(x)))
                best[start : start + 16] = np.maximum(best[start : start + 16], peak)
                first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
                move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-12)
                x = np.clip(x - 0.03 * move, 0, 1)
        peaks[layer] = best
    return peaks


def prune(weights: LayerWeights, kept: dict[str, np.ndarray], square: bool) -> LayerWeights:
    """The network of the kept channels only.

    A head (kept, channels) gives the very same activations; a `square` one (kept, kept), the root of its product with itself,
    gives activations with the same inner products, hence the same Gram matrices up to a rotation, and the same distances.
    """
    pruned, before = {}, np.arange(3)
    for layer, arrays in weights.items():
        chosen = kept[layer]
        head = arrays["head"][chosen]
        if square:
            values, vectors = np.linalg.eigh(head.astype("float64") @ head.astype("float64").T)
            head = ((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T).astype("float32")
        kernel = arrays["kernel"][:, :, before][..., chosen]
        pruned[layer] = {"kernel": kernel, "bias": arrays["bias"][chosen], "head": head}
        before = chosen
    return pruned


def multiplications(weights: LayerWeights) -> float:
    """Of the convolutions, for one pixel of the picture."""
    return sum(arrays["kernel"].size / 4 ** (int(layer[5]) - 1) for layer, arrays in weights.items())


def write(path: Path, weights: LayerWeights) -> None:
    """Kernels and biases in half precision, as they were; heads, if they are new, in single."""
    arrays = {
        f"{layer}/{kind}": array.astype("float32" if kind == "head" and len(array) == array.shape[1] else "float16")
        for layer, kinds in weights.items()
        for kind, array in kinds.items()
    }
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a folder of photographs, of which some are shown to the network")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    parser.add_argument("--weights", type=Path, default=POCKET_FILE, help="(default: the shipped ones)")
    parser.add_argument("--count", type=int, default=300, help="how many photographs to look at (default: 300)")
    parser.add_argument("--steps", type=int, default=60, help="of each picture that is painted (default: 60)")
    parser.add_argument(
        "--attack", type=int, default=120, metavar="STEPS", help="of each attack (default: 120; 0: none)"
    )
    parser.add_argument("--same", action="store_true", help="heads that leave the activations themselves as they were")
    options = parser.parse_args()
    check_writable(options.out)
    weights = read_weights(options.weights, "pocket")
    surveys = {
        "bundled": bundled(),
        "photographs": photographs(options.photos, options.count),
        "noise": noise(),
        "half painted": half_painted(options.steps, options.weights),
    }
    peaks = {layer: np.full(len(arrays["bias"]), -np.inf) for layer, arrays in weights.items()}
    for name, pictures in surveys.items():
        found = highest(weights, tqdm(pictures, desc=name))
        peaks = {layer: np.maximum(peak, found[layer]) for layer, peak in peaks.items()}
    silent = {layer: np.flatnonzero(peak <= 0) for layer, peak in peaks.items()}
    attacked = attack(weights, silent, options.attack) if options.attack else {}
    pruned = prune(weights, {layer: np.flatnonzero(peak > 0) for layer, peak in peaks.items()}, not options.same)
    write(options.out, pruned)
    print("layer         channels  kept  quietest kept  loudest silent  fire if attacked")
    for layer, peak in peaks.items():
        loudest = f"{peak[peak <= 0].max():.2f}" if (peak <= 0).any() else ""
        fire = f"{(attacked[layer] > 0).sum()} of {len(attacked[layer])}" if layer in attacked else ""
        print(
            f"{layer}  {len(peak):8d}  {(peak > 0).sum():4d}  {peak[peak > 0].min():13.2f}  {loudest:>14}  {fire:>16}"
        )
    before, after = multiplications(weights), multiplications(pruned)
    print(f"multiplications per pixel: {before:,.0f} before, {after:,.0f} after ({after / before:.1%})")
    print(f"{options.out}: {options.out.stat().st_size:,} bytes; {options.weights}: {options.weights.stat().st_size:,}")


if __name__ == "__main__":
    main()
