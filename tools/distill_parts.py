"""What `distill_pocket.py` puts together: the student, and the pictures that it learns from."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from PIL import Image, ImageOps

import nst_lib
from nst_lib import autodiff
from nst_lib.backbones import CONTENT_LAYER, IMAGENET_MEAN_BGR, STYLE_LAYERS, Backbone
from nst_lib.fast.photos import Photos
from nst_lib.losses import gram_distance, gram_matrix, relative_error
from nst_lib.weights import layer_shapes

Tensor = Any
ROOT = Path(__file__).resolve().parents[1]
LAYERS = tuple(layer_shapes("pocket"))
SCALE = 128.0  # the student's input is about 1; `Student.arrays` folds it into the first kernels
PAINTINGS_SHARE = 0.35


def student_activations(variables: dict[str, Tensor], pictures: Tensor, dtype: str) -> dict[str, Tensor]:
    """`{layer: (n, h, w, teacher's channels)}`, float32: the projected activations of pictures (n, h, w, 3) in [0, 1]."""
    x = (ops.flip(pictures, axis=-1) * 255.0 - ops.array(IMAGENET_MEAN_BGR, dtype="float32")) / SCALE
    seen, x = {}, ops.cast(x, dtype)
    for layer in LAYERS:
        if layer.endswith("_conv1") and layer != "block1_conv1":
            x = ops.max_pool(x, 2, strides=2)
        kernel, bias, project = (
            ops.cast(variables[f"{layer}_{kind}"], dtype) for kind in ("kernel", "bias", "project")
        )
        x = ops.relu(ops.conv(x, kernel, padding="same") + bias)
        seen[layer] = ops.cast(ops.matmul(x, project), "float32")
    return seen


class Student(keras.Model):
    """The pocket VGG while it learns: kernels, biases, and projections onto the teacher's channels.

    Args:
        teacher: VGG16 or VGG19, to block5_conv1 at least.
        sizes: `{layer: root mean square of the teacher's activations}`.
        dtype: of what it computes with; its variables are float32.
    """

    def __init__(self, teacher: Backbone, sizes: dict[str, float], dtype: str):
        super().__init__()
        self.teacher, self.sizes, self.dtype_used = teacher, sizes, dtype
        self.parts: dict[str, keras.Variable] = {}
        for layer, (inputs, outputs) in layer_shapes("pocket").items():
            shapes = {
                "kernel": ((3, 3, inputs, outputs), "he_normal"),
                "bias": ((outputs,), "zeros"),
                "project": ((outputs, layer_shapes(teacher.name)[layer][1]), "lecun_normal"),
            }
            for kind, (shape, initializer) in shapes.items():
                name = f"{layer}_{kind}"
                self.parts[name] = self.add_weight(shape=shape, initializer=initializer, name=name)
        self.built = True

    def values(self) -> dict[str, Tensor]:
        """The variables as tensors, for compiled functions: JAX would take a variable's first value for a constant."""
        return {name: ops.convert_to_tensor(variable) for name, variable in self.parts.items()}

    def call(self, pictures: Tensor) -> dict[str, Tensor]:
        return student_activations(self.values(), pictures, self.dtype_used)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The sum over layers of the relative squared error, and over style layers of that of the Gram matrix."""
        truth = {layer: ops.cast(a, "float32") / self.sizes[layer] for layer, a in self.teacher(x, LAYERS).items()}
        errors = [relative_error(y_pred[layer], truth[layer]) for layer in LAYERS]
        return sum(errors) + sum(gram_distance(y_pred[layer], gram_matrix(truth[layer])) for layer in STYLE_LAYERS)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `nst_lib.weights.read_weights` reads."""
        arrays = {}
        for layer in LAYERS:
            kernel, bias, project = (
                ops.convert_to_numpy(self.parts[f"{layer}_{kind}"]) for kind in ("kernel", "bias", "project")
            )
            product = project.astype("float64") @ project.T.astype("float64") * self.sizes[layer] ** 2
            values, vectors = np.linalg.eigh(product)
            arrays[f"{layer}/kernel"] = kernel / (SCALE if layer == LAYERS[0] else 1.0)
            arrays[f"{layer}/bias"] = bias
            arrays[f"{layer}/head"] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        return {name: array.astype("float16") for name, array in arrays.items()}


class Pictures:
    """Photographs, and the bundled paintings `without` some, cut, recoloured, mixed and strewn with noise.

    A batch depends only on the seed and its number.
    """

    def __init__(self, photos: Path, without: set[str], side: int, seed: int):
        self.photos = Photos(photos, 1, 1).photos
        self.paintings = [
            Image.fromarray(np.uint8(255 * nst_lib.load_image(file, 512)))
            for file in sorted((ROOT / "data" / "style").glob("*.jpg"))
            if file.stem not in without
        ]
        self.side, self.seed = side, seed

    def cut(self, random: np.random.Generator, painting: bool) -> np.ndarray:
        """A square anywhere in a picture, mirrored or not: (side, side, 3) in [0, 1]."""
        source = self.paintings if painting else self.photos
        picture = source[random.integers(len(source))]
        width = random.uniform(0.35, 1.0) * min(picture.size)
        left, top = random.uniform(0, picture.width - width), random.uniform(0, picture.height - width)
        cut = picture.resize((self.side, self.side), Image.Resampling.BILINEAR, (left, top, left + width, top + width))
        return np.asarray(ImageOps.mirror(cut) if random.random() < 0.5 else cut, "float32") / 255

    def batch(self, number: int, count: int) -> np.ndarray:
        """(count, side, side, 3), float32, in [0, 1]."""
        random = np.random.default_rng((self.seed, 0, number))
        cuts = [self.cut(random, random.random() < PAINTINGS_SHARE) for _ in range(count)]
        return np.stack([self._varied(cut, cuts[i - 1], random) for i, cut in enumerate(cuts)])

    def _varied(self, x: np.ndarray, other: np.ndarray, random: np.random.Generator) -> np.ndarray:
        if random.random() < 0.6:  # brightness, contrast, saturation
            mean, grey = x.mean(), x.mean(-1, keepdims=True)
            x = grey + (x - grey) * random.uniform(0, 2)
            x = (x - mean) * random.uniform(0.5, 1.5) + mean * random.uniform(0.6, 1.4)
        if random.random() < 0.15:
            x = (x + other) / 2
        if random.random() < 0.4:  # noise, fine or coarse
            grain = random.choice((1, 4))
            noise = random.normal(size=(-(-self.side // grain), -(-self.side // grain), 3)).astype("float32")
            x = x + 0.35 * random.random() ** 3 * noise.repeat(grain, 0).repeat(grain, 1)[: self.side, : self.side]
        if random.random() < 0.03:
            x = random.random(x.shape)
        return np.clip(x, 0, 1).astype("float32")


class Easels:
    """Pictures that are being painted on the student's own loss, at any stage, each with a weight and an end of its own."""

    def __init__(self, pictures: Pictures, count: int, dtype: str):
        self.pictures, shape = pictures, (count, pictures.side, pictures.side, 3)
        self.state = {name: np.zeros(shape, "float32") for name in ("x", "content", "style", "mean", "square")}
        self.state |= {name: np.zeros(count, "float32") for name in ("step", "end", "weight")}

        def move(values: dict, x: Tensor, content: Tensor, style: Tensor, weight: Tensor) -> Tensor:
            seen_content = student_activations(values, content, dtype)[CONTENT_LAYER]
            painted = student_activations(values, style, dtype)
            grams = {layer: gram_matrix(painted[layer]) for layer in STYLE_LAYERS}

            def loss(x: Tensor) -> tuple[Tensor, None]:
                seen = student_activations(values, x, dtype)
                total = _each(seen[CONTENT_LAYER], seen_content)
                for layer in STYLE_LAYERS:
                    total = total + weight * _each(gram_matrix(seen[layer]), grams[layer]) / len(STYLE_LAYERS)
                return ops.sum(total), None

            return autodiff.value_and_gradient(loss, x)[2]

        self.gradient = autodiff.compile_function(move)

    def paint(self, student: Student, number: int, count: int) -> np.ndarray:
        """Move `count` of the pictures by one step of Adam; (count, side, side, 3)."""
        random = np.random.default_rng((self.pictures.seed, 1, number))
        state, chosen = self.state, random.choice(len(self.state["x"]), count, replace=False)
        for i in chosen[state["step"][chosen] >= state["end"][chosen]]:
            content, style = self.pictures.cut(random, False), self.pictures.cut(random, random.random() < 0.7)
            start = random.random(content.shape) if random.random() < 0.4 else content
            fresh = {"x": start, "content": content, "style": style, "mean": 0, "square": 0, "step": 0,
                     "end": random.integers(5, 220), "weight": 10 ** random.uniform(1, 4)}  # fmt: skip
            for name, value in fresh.items():
                state[name][i] = value
        given = [ops.convert_to_tensor(state[name][chosen]) for name in ("x", "content", "style", "weight")]
        gradient = ops.convert_to_numpy(self.gradient(student.values(), *given))
        state["step"][chosen] += 1
        state["mean"][chosen] = 0.9 * state["mean"][chosen] + 0.1 * gradient
        state["square"][chosen] = 0.99 * state["square"][chosen] + 0.01 * gradient**2
        step = state["step"][chosen][:, None, None, None]
        direction = state["mean"][chosen] / (1 - 0.9**step)
        direction /= np.sqrt(state["square"][chosen] / (1 - 0.99**step)) + 1e-12
        state["x"][chosen] = np.clip(state["x"][chosen] - 0.012 * direction, 0, 1)
        return state["x"][chosen]


def _each(value: Tensor, target: Tensor) -> Tensor:
    """`relative_error`, for each picture of a batch."""
    axes = tuple(range(1, len(value.shape)))
    return ops.sum(ops.square(value - target), axes) / (ops.sum(ops.square(target), axes) + 1e-12)
