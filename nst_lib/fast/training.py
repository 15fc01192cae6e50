"""Training a style network (Johnson et al. 2016): photographs go through it, and a VGG says how far what comes out is from
the photograph's content and the painting's style. Keras' own trainer does the work; what is added are callbacks.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from nst_lib import autodiff, checkpoints
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, Backbone, load_backbone
from nst_lib.errors import CheckpointError, PictureError, SettingsError, check_number
from nst_lib.fast.network import build_network, get_kernels, plain_style, set_kernels
from nst_lib.fast.running import make_runner, paint_picture
from nst_lib.fast.styles import THUMBNAIL, StyleFile
from nst_lib.images import MIN_SIDE, check_picture, crop_to_fit, resize, save_image, to_pil
from nst_lib.losses import STYLE_GAIN, gram_distance, gram_matrix, relative_error, total_variation

Tensor = Any

SIZE = 256  # pixels: the painting's long side, and the photographs' short side
CROP = 176  # pixels: what is cut out of a photograph; a smaller cut is cheaper, and the style's motifs still fit in
SHIFT = 16  # pixels: the coarsest pooling of the backbone's
BATCH = 4
MAX_PHOTOS = 2000  # all are kept in memory, so that no step waits for the disk: this many take half a gigabyte
STYLE_WEIGHT = 0.12  # the weight of 1 that balances a single picture would here stamp the painting on all of them
TV_WEIGHT = 0.3
OVERSHOOT_WEIGHT = 10.0
MINUTES = 15
EPOCH, EPOCH_ON_GPU = 20, 200  # steps: some seconds, between which a training can be stopped
RATE, STARTED_RATE, VECTOR_RATE = 2e-3, 1e-3, 1e-2
CHECKPOINT_SECONDS = 30
SAMPLE_SECONDS = 60


class Photos(keras.utils.PyDataset):
    """Random cuts from the photographs of a folder, mirrored at random, each with the number of a style to paint it in.

    The batch depends only on the seed, the `epoch` and its index, so that a resumed training sees what an unbroken one
    would have seen.

    Attributes:
        skipped: the files that are no pictures.

    Raises:
        PictureError: if the folder does not exist or has no readable picture.
    """

    def __init__(self, folder: str | os.PathLike, n_styles: int, steps: int, batch: int = BATCH, seed: int = 0):
        super().__init__()
        self.n_styles, self.steps, self.batch, self.seed, self.epoch = n_styles, steps, batch, seed, 0
        folder = Path(folder)
        if not folder.is_dir():
            raise PictureError(f"{folder} is not a folder. Give one with photographs in it.")
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in Image.registered_extensions())
        if len(files) > MAX_PHOTOS:
            chosen = np.random.default_rng(seed).choice(len(files), MAX_PHOTOS, replace=False)
            files = [files[i] for i in sorted(chosen)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            read = list(pool.map(_read_photo, files))
        self.photos = [photo for photo in read if photo is not None]
        self.skipped = [path for path, photo in zip(files, read, strict=True) if photo is None]
        if not self.photos:
            found = f"none of the {len(files)} pictures in {folder} can be read" if files else f"{folder} has no pictures"
            raise PictureError(f"{found}. Give a folder of photographs (JPEG, PNG, WebP); a few hundred are enough.")

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        """{"photos": (batch, CROP, CROP, 3) uint8, "style": (batch,) int32, "shift": (2,) int32, up to SHIFT}."""
        random = np.random.default_rng((self.seed, self.epoch, index))
        cuts = [self.cut(self.photos[i], random) for i in random.integers(len(self.photos), size=self.batch)]
        first = random.integers(self.n_styles)  # the styles take turns, or a batch may hold one of them only
        styles = (first + np.arange(self.batch) * max(1, self.n_styles // self.batch)) % self.n_styles
        shift = random.integers(SHIFT + 1, size=2)
        return ({"photos": np.stack(cuts), "style": styles.astype("int32"), "shift": shift.astype("int32")},)

    def cut(self, photo: Image.Image, random: np.random.Generator) -> np.ndarray:
        """A square cut (CROP, CROP, 3), uint8, from anywhere in a photograph."""
        short = min(photo.size)
        side = random.uniform(short / 2, short)  # seen from nearer or further away
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        cut = photo.resize((CROP, CROP), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        return np.asarray(ImageOps.mirror(cut) if random.random() < 0.5 else cut)


def _read_photo(path: Path) -> Image.Image | None:
    """A photograph with a short side of SIZE, or None. Unlike `load_image`, this decodes a JPEG at a fraction of its size."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (SIZE, SIZE))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # a damaged file can make a decoder raise anything
        return None
    if min(upright.size) < MIN_SIDE:
        return None
    scale = SIZE / min(upright.size)
    return upright.resize((max(SIZE, round(upright.width * scale)), max(SIZE, round(upright.height * scale))))


class StyleTrainer(keras.Model):
    """A style network, the styles it learns, and the loss that it learns them from.

    Attributes:
        network: see `build_network`.
        styles: (n styles, STYLE_LENGTH), trained with the network, or alone where that is not `trainable`.
    """

    def __init__(
        self,
        network: keras.Model,
        styles: np.ndarray,
        paintings: Sequence[np.ndarray],
        backbone: Backbone,
        style_weight: float = STYLE_WEIGHT,
        tv_weight: float = TV_WEIGHT,
    ):
        super().__init__()
        self.network, self.backbone = network, backbone
        self.style_weight, self.tv_weight = style_weight, tv_weight
        start = keras.initializers.Constant(styles)
        self.styles = self.add_weight(shape=styles.shape, initializer=start, name="styles")
        seen = [backbone(resize(painting, SIZE), STYLE_LAYERS) for painting in paintings]
        self.targets = {name: ops.concatenate([gram_matrix(s[name]) for s in seen]) for name in STYLE_LAYERS}
        self.content_mean = keras.metrics.Mean(name="content")
        self.style_mean = keras.metrics.Mean(name="style")

    def call(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The pastiches (n, h, w, 3) of a batch of `Photos`."""
        numbers = ops.take(self.styles, batch["style"], axis=0)
        photos = ops.cast(batch["photos"], "float32") / 255.0
        return self.network([photos, numbers, ops.zeros_like(numbers), ops.zeros_like(numbers[:, 0])])[0]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Content + 30 x style_weight x style + tv_weight x total variation + 10 x overshoot.

        Johnson et al. 2016, section 3.2, with the relative distances of `nst_lib.losses`. Two things are added. The
        backbone is shown pictures shifted at random, or the network would learn patterns that lie just so under its
        pooling. The overshoot, the mean square by which the pastiche leaves [0, 1], keeps flat spots from saturating.
        """
        pastiche = self._shifted(y_pred, x["shift"])
        photos = self._shifted(ops.cast(x["photos"], "float32") / 255.0, x["shift"])
        seen = self.backbone(pastiche, [CONTENT_LAYER, *STYLE_LAYERS])
        content = relative_error(seen[CONTENT_LAYER], self.backbone(photos, [CONTENT_LAYER])[CONTENT_LAYER])
        distances = [gram_distance(seen[n], ops.take(self.targets[n], x["style"], axis=0)) for n in STYLE_LAYERS]
        style = sum(distances) / len(distances)
        overshoot = ops.mean(ops.square(ops.relu(ops.abs(y_pred - 0.5) - 0.5)))
        self.content_mean.update_state(content)
        self.style_mean.update_state(style)
        return (
            content
            + STYLE_GAIN * self.style_weight * style
            + self.tv_weight * total_variation(y_pred)
            + OVERSHOOT_WEIGHT * overshoot
        )

    @staticmethod
    def _shifted(pictures: Tensor, shift: Tensor) -> Tensor:
        side = pictures.shape[1] - SHIFT
        start = ops.concatenate([ops.zeros((1,), "int32"), shift, ops.zeros((1,), "int32")])
        return ops.slice(pictures, start, (ops.shape(pictures)[0], side, side, 3))


def train(
    paintings: Mapping[str, np.ndarray],
    photos: str | os.PathLike,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    start: StyleFile | None = None,
    vector_only: bool = False,
    style_weight: float = STYLE_WEIGHT,
    tv_weight: float = TV_WEIGHT,
    learning_rate: float | None = None,
    batch: int = BATCH,
    backbone: str | None = None,
    weights: str | os.PathLike | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    samples: str | os.PathLike | None = None,
    tensorboard: str | os.PathLike | None = None,
    progress: bool | None = None,
    should_stop: Callable[[], object] = lambda: False,
) -> StyleFile | None:
    """Train one network to paint in the manner of each of several paintings.

    Args:
        paintings: pictures (h, w, 3) by the name of the style.
        photos: a folder of photographs, searched with all its subfolders. Files that are no pictures are skipped.
        minutes, steps: the budget: one of them (15 minutes by default). Steps are rounded up to whole epochs.
        start: a network to set out from, which takes a fraction of the time; None for one that knows nothing.
        vector_only: leave the network of `start` as it is, and learn the styles alone, so that they blend with its own.
        style_weight, tv_weight: see `StyleTrainer.compute_loss`.
        learning_rate: Adam's, at its peak; by default 0.002, 0.001 from `start`, 0.01 for vectors only.
        batch: photographs in a step.
        backbone, weights: the judge: see `load_backbone`.
        seed: of the network's first kernels and of the order of the photographs.
        checkpoint: a file to write now and then, and when stopped.
        resume: go on from `checkpoint`; the result is that of an unbroken training.
        samples: a picture file to renew every minute: some photographs in each style.
        tensorboard: a folder for TensorBoard's logs.
        progress: show a bar; None for one in terminals only.
        should_stop: asked after every epoch of some seconds.

    Returns:
        The trained styles; None if it was stopped.

    Raises:
        SettingsError: for settings that do not fit together, or a training that does not settle.
        PictureError: if there are no photographs, or a painting is no picture.
        CheckpointError: if the checkpoint is damaged or of another training.
    """
    _check_settings(paintings, minutes, steps, start, vector_only, learning_rate, batch)
    keras.utils.set_random_seed(seed)
    precise = "bfloat16" if autodiff.bfloat16_pays() else "float32"
    judge = load_backbone(backbone, weights, padding="replicate", dtype=precise)
    network = build_network("mixed_bfloat16" if precise == "bfloat16" else "float32")
    known, first = {}, plain_style()
    if start:
        set_kernels(network, start.weights)
        known, first = start.styles, np.mean(list(start.styles.values()), axis=0)
    network.trainable = not vector_only
    per_epoch = EPOCH_ON_GPU if autodiff.gpus() else EPOCH
    data = Photos(photos, len(paintings), per_epoch, batch, seed)
    numbers = np.stack([known.get(name, first) for name in paintings])
    trainer = StyleTrainer(network, numbers, list(paintings.values()), judge, style_weight, tv_weight)
    peak = learning_rate or (VECTOR_RATE if vector_only else STARTED_RATE if start else RATE)
    # On a processor, TensorFlow's XLA is slower than without; JAX knows nothing else.
    jit = "auto" if autodiff.gpus() or autodiff.ENGINE == "jax" else False
    trainer.compile(keras.optimizers.Adam(peak, beta_2=0.99, use_ema=True, ema_momentum=0.99, global_clipnorm=5.0),
                    jit_compile=jit)  # fmt: skip
    trainer.optimizer.build(trainer.trainable_variables)

    settings = {"styles": list(paintings), "style_weight": style_weight, "tv_weight": tv_weight, "batch": batch,
                "backbone": judge.name, "seed": seed, "vector_only": vector_only, "rate": peak,
                "photographs": len(data.photos)}  # fmt: skip
    budget = Budget(60 * minutes if minutes else None if steps else 60 * MINUTES, steps and math.ceil(steps / per_epoch))
    run = _Run(data, budget, peak, settings, checkpoint, should_stop)
    if resume:
        run.restore(trainer)
    if not budget.spent:
        callbacks: list[keras.callbacks.Callback] = [run]
        if samples:
            callbacks.append(_Samples(samples, paintings, data))
        if tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(tensorboard))
        callbacks.append(_Bar(budget, per_epoch * batch, progress))
        trainer.fit(data, epochs=10**9, initial_epoch=budget.epochs, callbacks=callbacks, verbose=0)
        if not budget.spent:
            return None
    numbers = ops.convert_to_numpy(trainer.styles)
    about = settings | {"pictures": budget.epochs * per_epoch * batch, "seconds": round(budget.seconds)}
    thumbnails = {name: np.asarray(to_pil(crop_to_fit(p, THUMBNAIL, THUMBNAIL))) for name, p in paintings.items()}
    return StyleFile(get_kernels(network), dict(zip(paintings, numbers, strict=True)), thumbnails, about)


def _check_settings(
    paintings: Mapping[str, np.ndarray],
    minutes: float | None,
    steps: int | None,
    start: StyleFile | None,
    vector_only: bool,
    learning_rate: float | None,
    batch: int,
) -> None:
    if not paintings:
        raise SettingsError("no paintings given: there is no style to learn.")
    for name, painting in paintings.items():
        check_picture(painting, f"the painting {name}")
    if minutes is not None and steps is not None:
        raise SettingsError("minutes and steps are both given: give one of them.")
    for what, value, least in (("minutes", minutes, 0.01), ("learning_rate", learning_rate, 1e-6)):
        if value is not None:
            check_number(what, value, least)
    for what, number in (("steps", steps), ("batch", batch)):
        if number is not None:
            check_number(what, number, 1, whole=True)
    if vector_only and not start:
        raise SettingsError("vector_only needs a trained network to set out from: give `start`.")


@dataclass
class Budget:
    """How much of a training is done: seconds and epochs, of which one is limited."""

    max_seconds: float | None
    max_epochs: int | None
    seconds: float = 0.0
    epochs: int = 0

    @property
    def share(self) -> float:
        """What has been spent, from 0 to 1."""
        return min(1.0, self.seconds / self.max_seconds if self.max_seconds else self.epochs / (self.max_epochs or 1))

    @property
    def spent(self) -> bool:
        """Whether the training is over."""
        return self.share >= 1

    @property
    def seconds_left(self) -> float:
        """Until the end, at the present pace."""
        return self.seconds * (1 / self.share - 1) if self.share else math.nan


class _Run(keras.callbacks.Callback):
    """The learning rate over the budget, the guard against NaN, checkpoints, and the end."""

    def __init__(
        self,
        data: Photos,
        budget: Budget,
        peak: float,
        settings: dict[str, Any],
        checkpoint: str | os.PathLike | None,
        should_stop: Callable[[], object],
    ):
        super().__init__()
        self.data, self.budget, self.peak, self.settings = data, budget, peak, settings
        self.checkpoint, self.should_stop = checkpoint, should_stop
        self.caution, self.good = 1.0, None  # halved with every NaN; the last state without
        self.saved = time.monotonic()

    def restore(self, trainer: StyleTrainer) -> None:
        """Go on from the checkpoint. Raises CheckpointError if it is of another training."""
        if self.checkpoint is None:
            raise CheckpointError("there is no checkpoint to go on from: give its file.")
        header, arrays = checkpoints.read(self.checkpoint)
        if header.get("kind") != "training":
            raise CheckpointError(f"{self.checkpoint} is a checkpoint of a painting, not of a training.")
        for name, value in self.settings.items():
            if header["settings"].get(name) != value:
                raise CheckpointError(
                    f"{self.checkpoint} is of another training: its {name.replace('_', ' ')} is "
                    f"{header['settings'].get(name)}, not {value}. Give the same again, or start afresh without --resume."
                )
        self.budget.seconds, self.budget.epochs, self.caution = header["seconds"], header["epochs"], header["caution"]
        _set_state(trainer, list(arrays.values()))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Warm up over the first fiftieth of the budget; from there to the end, half a cosine (Loshchilov 2017, eq. 5)."""
        self.data.epoch = epoch
        self.began = time.monotonic()
        share = self.budget.share
        rate = min(1.0, share / 0.02 + 0.05) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        self.model.optimizer.learning_rate = self.peak * self.caution * rate

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Step back after a NaN; note where the training stands; end it."""
        self.budget.seconds += time.monotonic() - self.began
        self.budget.epochs = epoch + 1
        if math.isfinite((logs or {}).get("loss", 0.0)):
            self.good = _get_state(self.model)
        else:
            self.caution /= 2
            if self.good is None or self.caution < 0.01:
                raise SettingsError("the training does not settle: its loss is not a number. Give a lower learning rate.")
            _set_state(self.model, self.good)
        stop = self.budget.spent or self.should_stop()
        if self.checkpoint is not None and (stop or time.monotonic() - self.saved > CHECKPOINT_SECONDS):
            self._save(self.checkpoint)
        self.model.stop_training = bool(stop)

    def _save(self, path: str | os.PathLike) -> None:
        header = {"kind": "training", "settings": self.settings, "seconds": self.budget.seconds,
                  "epochs": self.budget.epochs, "caution": self.caution}  # fmt: skip
        try:
            checkpoints.write(path, header, {f"{i:03}": array for i, array in enumerate(self.good or ())})
        except CheckpointError as problem:  # a full disk is no reason to lose a training
            print(f"nst: training on, but {problem}", file=sys.stderr)
        self.saved = time.monotonic()


def _variables(trainer: StyleTrainer) -> list[keras.Variable]:
    return [*trainer.network.variables, trainer.styles, *trainer.optimizer.variables]


def _get_state(trainer: StyleTrainer) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in _variables(trainer)]


def _set_state(trainer: StyleTrainer, state: Sequence[np.ndarray]) -> None:
    variables = _variables(trainer)
    if [v.shape for v in variables] != [array.shape for array in state]:
        raise CheckpointError("the checkpoint is of another network. Start afresh without --resume.")
    for variable, array in zip(variables, state, strict=True):
        variable.assign(array)


class _Samples(keras.callbacks.Callback):
    """Some photographs in each style, as a picture, every minute: how the averaged weights would paint them now."""

    def __init__(self, path: str | os.PathLike, paintings: Mapping[str, np.ndarray], data: Photos):
        super().__init__()
        self.path, self.paintings, self.drawn = Path(path), paintings, time.monotonic()
        random = np.random.default_rng(0)
        chosen = random.choice(len(data.photos), min(4, len(data.photos)), replace=False)
        self.photos = [data.cut(data.photos[i], random) / np.float32(255) for i in chosen]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draw them, if a minute has passed."""
        if time.monotonic() - self.drawn > SAMPLE_SECONDS:
            self.draw()

    def on_train_end(self, logs: Any = None) -> None:
        """Draw them a last time."""
        self.draw()

    def draw(self) -> None:
        """A row for each style: the painting, and the photographs in its manner."""
        averages = [v for v in self.model.optimizer.variables if v.name.endswith("_average")]
        trained = self.model.trainable_variables
        values = {v.path: average for v, average in zip(trained, averages, strict=True)}
        kernels = get_kernels(self.model.network, values)
        all_numbers = ops.convert_to_numpy(values[self.model.styles.path])
        run, rows = make_runner(kernels), []
        for painting, numbers in zip(self.paintings.values(), all_numbers, strict=True):
            painted = [paint_picture(run, photo, numbers)[0] for photo in self.photos]
            rows.append(np.concatenate([crop_to_fit(painting, CROP, CROP), *painted], axis=1))
        save_image(np.concatenate(rows), self.path)
        self.drawn = time.monotonic()


class _Bar(keras.callbacks.Callback):
    """A line with the loss and its parts, photographs per second, and the time left."""

    def __init__(self, budget: Budget, pictures: int, show: bool | None):
        super().__init__()
        self.budget, self.pictures = budget, pictures
        layout = "{percentage:3.0f}%|{bar}| {desc}"
        hide = None if show is None else not show
        self.bar = tqdm(desc="starting", total=1000, bar_format=layout, disable=hide, dynamic_ncols=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Renew the line; without a terminal, print one every minute."""
        seconds, logs = self.budget.seconds, logs or {}
        text = (
            f"loss {logs['loss']:.3f} (content {logs['content']:.3f}, style {logs['style']:.3f}), "
            f"{self.pictures * self.budget.epochs / seconds:.0f} pictures/s, "
            f"{tqdm.format_interval(round(self.budget.seconds_left))} left"
        )
        self.bar.set_description_str(text, refresh=False)
        self.bar.update(round(1000 * self.budget.share) - self.bar.n)

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the line as it is."""
        self.bar.close()
