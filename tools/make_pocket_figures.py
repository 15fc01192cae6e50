"""The figures and numbers of notebook 09 that need the real VGG: make_pocket_figures.py VGG16.npz VGG19.npz

Three pairs are painted on the pocket VGG and on VGG16, in the same number of steps, and judged by VGG16 (to block5_conv1)
and by VGG19 (of which blocks 1 to 3 are enough), against which neither picture was painted. Writes
notebooks/figures/pocket_*.jpg, each below 100 KB, and prints the numbers that the notebook quotes. The weights are read from
where they are, and stay there.
"""

import argparse
import io
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from IPython.display import Image
from keras import ops
from matplotlib.figure import Figure
from PIL import Image as Pillow

import nst_lib
from nst_lib.autodiff import compile_function
from nst_lib.backbones import STYLE_LAYERS, Backbone, load_backbone
from nst_lib.course import find_data, painting, photograph
from nst_lib.figures import OTHERS, finish, show_pictures
from nst_lib.losses import gram_matrix, relative_error
from nst_lib.objective import Objective
from nst_lib.weights import layer_shapes

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"
PAIRS = (
    ("chelsea_cat", "hokusai_great_wave"),
    ("astronaut", "kandinsky_composition_viii"),
    ("chenonceau_castle", "vangogh_church_auvers"),
)
PAINTINGS = sorted(file.stem for file in (find_data() / "style").glob("*.jpg") if "texture" not in file.stem)


def grams(judge: Backbone, picture: np.ndarray) -> dict:
    layers = [layer for layer in STYLE_LAYERS if layer in judge.layers]
    return {layer: gram_matrix(seen) for layer, seen in judge(picture, layers).items()}


def style_distances(judge: Backbone, picture: np.ndarray, style: np.ndarray) -> np.ndarray:
    """By layer, as far as the judge's weights go."""
    seen, target = grams(judge, picture), grams(judge, style)
    return np.array([float(relative_error(seen[layer], target[layer])) for layer in seen])


def paint_pairs(vgg16_file: Path, steps: int, size: int) -> dict:
    settings = {"size": size, "steps": steps, "pyramid": 1, "sketch": False, "progress": False}
    painted = {}
    for content, style in PAIRS:
        pair = photograph(content, size), painting(style, size)
        painted[content] = {
            "photograph": pair[0],
            "pocket": nst_lib.stylize(*pair, backbone="pocket", **settings),
            "VGG16": nst_lib.stylize(*pair, backbone="vgg16", weights=vgg16_file, **settings),
        }
    return painted


def agreement(one: Backbone, other: Backbone, size: int) -> np.ndarray:
    """By layer: the rank correlation of two judges' style distances among the paintings."""
    distances = []
    for judge in (one, other):
        known = [grams(judge, painting(name, size)) for name in PAINTINGS]
        pairs = list(combinations(known, 2))
        distances.append([[float(relative_error(a[layer], b[layer])) for a, b in pairs] for layer in STYLE_LAYERS])
    ranks = np.argsort(np.argsort(distances, axis=-1), axis=-1)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)])


def cpu_seconds_per_step(backbone: Backbone, size: int = 192, repeats: int = 5) -> float:
    """Processor seconds of a loss with its gradient: unlike the clock's, they hardly depend on what else is running."""
    objective = Objective(("block4_conv2",), STYLE_LAYERS, "gram")
    content, style = photograph("chelsea_cat", size), painting("hokusai_great_wave", size)
    targets = objective.targets(backbone, content, [style], [1.0])
    weights = objective.weight_vector(1, 1, 0, dict.fromkeys(STYLE_LAYERS, 1.0))
    evaluate = compile_function(objective.on(backbone, smooth=False))
    x, seconds = ops.convert_to_tensor(content[None]), []
    for _ in range(repeats + 1):
        started = time.process_time()
        ops.convert_to_numpy(evaluate(x, weights, targets)[0])
        seconds.append(time.process_time() - started)
    return float(np.median(seconds[1:]))


def random_backbone(name: str) -> Backbone:
    """With noise for weights: time does not depend on them."""
    rng = np.random.default_rng(0)
    shapes = [item for item in layer_shapes(name).items() if item[0] <= "block5_conv1"]
    weights = {
        layer: {"kernel": rng.normal(0, (2 / (9 * a)) ** 0.5, (3, 3, a, b)), "bias": np.zeros(b)}
        for layer, (a, b) in shapes
    }
    return Backbone(name, weights, "max", "zeros", "float32")


def plot_layers(bars: dict[str, np.ndarray]) -> Image:
    """Bars as `figures.plot_bars` has them, with the legend above, where no bar stands."""
    figure = Figure(figsize=(7.2, 3.6), dpi=100, facecolor="white", layout="constrained")
    axes = figure.add_subplot(yscale="log")
    for place, (name, heights) in enumerate(bars.items()):
        axes.bar(np.arange(len(heights)) + (place - 1) * 0.27, heights, 0.25, color=OTHERS[place], label=name)
    axes.set_xticks(range(len(STYLE_LAYERS)), labels=STYLE_LAYERS)
    axes.set(ylabel="style distance, judged by VGG16", ylim=(5e-4, None))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return finish(figure, "Style distance by layer, judged by VGG16")


def save(figure: Image, name: str) -> None:
    """Write one of `figures.py`'s pictures as a JPEG below 100 KB."""
    FIGURES.mkdir(exist_ok=True)
    picture = Pillow.open(io.BytesIO(figure.data)).convert("RGB")
    for quality in (85, 75, 65, 55):
        encoded = io.BytesIO()
        picture.save(encoded, "JPEG", quality=quality, optimize=True, progressive=True)
        if encoded.tell() < 100_000:
            break
    (FIGURES / name).write_bytes(encoded.getvalue())
    print(f"{name}: {encoded.tell() / 1000:.0f} KB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vgg16", type=Path, help="VGG16's weights, .npz or Keras' .h5")
    parser.add_argument("vgg19", type=Path, help="VGG19's, at least to block3_conv1")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=192)
    options = parser.parse_args()
    pocket = load_backbone("pocket")
    vgg16, vgg19 = load_backbone("vgg16", options.vgg16), load_backbone("vgg19", options.vgg19)

    painted, by_layer, outsider = paint_pairs(options.vgg16, options.steps, options.size), [], []
    for content, style in PAIRS:
        target = painting(style, options.size)
        for name, picture in painted[content].items():
            for judge, backbone in (("pocket", pocket), ("VGG16", vgg16)):
                found = nst_lib.score(picture, painted[content]["photograph"], target, backbone)
                line = f"content {found.content:.2f}, 30 x style {30 * found.style:.2f}, sum {found.total:.2f}"
                print(f"{content:18} {name:10} judged by {judge:6}: {line}", flush=True)
        by_layer.append([style_distances(vgg16, picture, target) for picture in painted[content].values()])
        outsider.append([style_distances(vgg19, picture, target) for picture in painted[content].values()])
    for judge, distances in (("VGG16", by_layer), ("VGG19", outsider)):
        for name, means in zip(painted[PAIRS[0][0]], np.mean(distances, axis=0), strict=True):
            print(f"style by layer on {judge}, {name:10}", np.round(means, 3))
    print("rank correlation with VGG16 by layer", np.round(agreement(pocket, vgg16, 160), 3))
    seconds = {name: cpu_seconds_per_step(random_backbone(name)) for name in ("vgg16", "vgg19")}
    seconds["pocket"] = cpu_seconds_per_step(pocket)
    print("a step, times the pocket's:", {name: round(value / seconds["pocket"], 1) for name, value in seconds.items()})

    rows = [painted[content][name] for name in ("pocket", "VGG16") for content, _ in PAIRS]
    titles = [f"painted on {name}" for name in ("the pocket VGG", "VGG16") for _ in PAIRS]
    save(show_pictures(rows, titles, columns=3, width=720), "pocket_pairs.jpg")
    means = np.mean(by_layer, axis=0)
    bars = {"untouched photograph": means[0], "painted on pocket": means[1], "painted on VGG16": means[2]}
    save(plot_layers(bars), "pocket_layers.jpg")


if __name__ == "__main__":
    main()
