"""Training a style network (Johnson et al. 2016): photographs go through it, and a VGG says how far what comes out is from
the photograph's content and the painting's style. Keras' own trainer does the work; what is added are callbacks.
"""

import importlib.util
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import keras
import numpy as np
from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, Backbone, load_backbone
from nst_lib.errors import CheckpointError, SettingsError, check_number
from nst_lib.fast.callbacks import Budget, ProgressBar, Run, Samples
from nst_lib.fast.devices import check_same, is_first, own_rows, shared
from nst_lib.fast.network import build_network, get_kernels, plain_style, set_kernels
from nst_lib.fast.photos import BATCH, MAX_PHOTOS, SHIFT, SIZE, Photos, styles_per_photo
from nst_lib.fast.running import CELL
from nst_lib.fast.styles import THUMBNAIL, StyleFile
from nst_lib.images import check_picture, crop_to_fit, to_pil
from nst_lib.losses import STYLE_GAIN, gram_distance, gram_matrix, relative_error, total_variation
from nst_lib.subject import resize_painting

Tensor = Any

STYLE_WEIGHT = 0.12  # the weight of 1 that balances a single picture would here stamp the painting on all of them
STARTED_STYLE_WEIGHT = 0.1  # in a short time, or with a vector's few numbers, a network pays for its style with content
TV_WEIGHT = 0.3
OVERSHOOT_WEIGHT = 10.0
MINUTES = 15
MAX_BATCH, MAX_CROP = 256, 1024  # more fills any memory
EPOCH, EPOCH_ON_GPU = 10, 200  # steps: some seconds, between which a training can be stopped
RATE, VECTOR_RATE = 2e-3, 1e-2


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
        each: int = 1,
    ):
        """Of a batch's photographs, `each` in turn are the same one, for several styles."""
        super().__init__()
        self.network, self.backbone, self.each = network, backbone, each
        self.style_weight, self.tv_weight = style_weight, tv_weight
        start = keras.initializers.Constant(styles)
        self.styles = self.add_weight(shape=styles.shape, initializer=start, name="styles")
        seen = [backbone(resize_painting(painting, SIZE), STYLE_LAYERS) for painting in paintings]
        self.targets = {name: ops.concatenate([gram_matrix(s[name]) for s in seen]) for name in STYLE_LAYERS}
        self.content_mean = keras.metrics.Mean(name="content")
        self.style_mean = keras.metrics.Mean(name="style")
        self.built = True  # or Keras would try it on a batch of ones, and there may be no style 1

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
        pastiche = self._shifted(y_pred, x["shift"][0])
        photos = self._shifted(ops.cast(x["photos"][:: self.each], "float32") / 255.0, x["shift"][0])
        seen = self.backbone(pastiche, [CONTENT_LAYER, *STYLE_LAYERS])
        of_photos = ops.repeat(self.backbone(photos, [CONTENT_LAYER])[CONTENT_LAYER], self.each, axis=0)
        content = relative_error(seen[CONTENT_LAYER], of_photos)
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
    style_weight: float | None = None,
    tv_weight: float = TV_WEIGHT,
    learning_rate: float | None = None,
    batch: int = BATCH,
    crop: int | None = None,
    backbone: str | None = None,
    weights: str | os.PathLike | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    samples: str | os.PathLike | None = None,
    tensorboard: str | os.PathLike | None = None,
    progress: bool | None = None,
    should_stop: Callable[[], object] = lambda: False,
    devices: str = "one",
) -> StyleFile | None:
    """Train one network to paint in the manner of each of several paintings.

    Args:
        paintings: pictures (h, w, 3) by the name of the style.
        photos: a folder of photographs, searched with all its subfolders. Files that are no pictures are skipped, and of
            more than 2,000, so many are chosen at random.
        minutes, steps: the budget: one of them (15 minutes by default). Steps are rounded up to whole epochs.
        start: a network to set out from, which takes a fraction of the time; None for one that knows nothing.
        vector_only: leave the network of `start` as it is, and learn the styles alone, so that they blend with its own.
        style_weight, tv_weight: see `StyleTrainer.compute_loss`. The style's is 0.12 by default, 0.1 from `start`.
        learning_rate: Adam's, at its peak; by default 0.002, and 0.01 for vectors only.
        batch: photographs in a step, on all devices together: at most 256.
        crop: side of the cuts that it sees, in pixels, a multiple of 4 from 48 to 1024; by default 176, which is cheap.
            Larger ones leave it more freedom where to put the style, as each is to have all of it.
        backbone, weights: the judge: see `load_backbone`.
        seed: of the network's first kernels and of the order of the photographs.
        checkpoint: a file to write now and then, and when stopped.
        resume: go on from `checkpoint`; the result is that of an unbroken training.
        samples: a picture file to renew every minute: some photographs in each style.
        tensorboard: a folder for TensorBoard's logs.
        progress: show a bar; None for one in terminals only, and a line a minute elsewhere; False for neither.
        should_stop: asked after every epoch of some seconds.
        devices: "one", or "all" that JAX sees, on this machine and on those of all `fast.devices.joined` workers.

    Returns:
        The trained styles; None if it was stopped.

    Raises:
        SettingsError: for settings that do not fit together, or a training that does not settle.
        PictureError: if there are no photographs, or a painting is no picture.
        CheckpointError: if the checkpoint is damaged or of another training; or if that of a stopped training cannot be
            written, and the message says where it is instead.
    """
    if style_weight is None:
        style_weight = STARTED_STYLE_WEIGHT if start else STYLE_WEIGHT
    _check_settings(
        paintings, minutes, steps, start, vector_only, learning_rate, batch, crop, style_weight, tv_weight, seed
    )
    if tensorboard:
        _check_tensorboard()
    several = shared(devices, batch)
    precision = autodiff.fastest_dtype()
    judge = load_backbone(backbone, weights, padding="replicate", dtype=precision)
    per_epoch = EPOCH_ON_GPU if autodiff.gpus() else EPOCH
    data = Photos(photos, len(paintings), per_epoch, batch, seed, own_rows(devices, batch), crop)
    if data.found > MAX_PHOTOS:
        print(f"nst: took {MAX_PHOTOS:,} of the {data.found:,} photographs, at random.", file=sys.stderr)
    if data.skipped:
        what = (
            "1 file that is no picture" if len(data.skipped) == 1 else f"{len(data.skipped)} files that are no pictures"
        )
        print(f"nst: left out {what}, as {data.skipped[0]}. {data.hint}".rstrip(), file=sys.stderr)
    peak = learning_rate or (VECTOR_RATE if vector_only else RATE)
    settings = {"styles": list(paintings), "style_weight": style_weight, "tv_weight": tv_weight, "batch": batch,
                "crop": data.crop, "backbone": judge.name, "seed": seed, "vector_only": vector_only, "rate": peak,
                "photographs": len(data.photos), "checksum_of_the_paintings": _checksum(paintings.values()),
                "checksum_of_the_start": _checksum(start.weights.values()) if start else "none"}  # fmt: skip
    for name, value in (settings | {"minutes": minutes, "steps": steps, "resume": resume}).items():
        check_same(name, str(value))
    budget = Budget(60 * minutes if minutes else None if steps else 60 * MINUTES, steps, per_epoch)
    run = Run(data, budget, peak, settings, checkpoint, should_stop)
    keras.utils.set_random_seed(int(seed))  # here, as a judge that is loaded for the first time would draw from it
    with closing(data), several:
        each = styles_per_photo(batch, len(paintings))
        trainer = _make_trainer(paintings, judge, precision, start, vector_only, style_weight, tv_weight, each, peak)
        if resume:
            run.restore(trainer)
        if budget.spent:
            trainer.optimizer.finalize_variable_values(trainer.trainable_variables)  # averages, as at the end of `fit`
        else:
            callbacks: list[keras.callbacks.Callback] = [run]
            if samples and is_first():
                callbacks.append(Samples(samples, paintings, data))
            if tensorboard and is_first():
                callbacks.append(keras.callbacks.TensorBoard(tensorboard))
            callbacks.append(ProgressBar(budget, batch, progress if is_first() else False))
            _fit(trainer, data, budget.epochs, callbacks)
            if run.unsaved:
                raise CheckpointError(run.unsaved)
            if not budget.spent:
                return None
        for variable in trainer.network.trainable_variables:
            if variable.constraint is not None:  # which Keras applies after averaging, not before
                variable.assign(variable.constraint(variable))
    numbers = ops.convert_to_numpy(trainer.styles)
    about = settings | {"pictures": budget.steps * batch, "seconds": round(budget.seconds)}
    thumbnails = {name: np.asarray(to_pil(crop_to_fit(p, THUMBNAIL, THUMBNAIL))) for name, p in paintings.items()}
    return StyleFile(get_kernels(trainer.network), dict(zip(paintings, numbers, strict=True)), thumbnails, about)


def _checksum(arrays: Iterable[np.ndarray]) -> str:
    """Eight letters that differ where the arrays do."""
    check = 0
    for array in arrays:
        check = zlib.crc32(array.tobytes(), check)
    return f"{check:08x}"


def _make_trainer(
    paintings: Mapping[str, np.ndarray],
    judge: Backbone,
    precision: str,
    start: StyleFile | None,
    vector_only: bool,
    style_weight: float,
    tv_weight: float,
    each: int,
    peak: float,
) -> StyleTrainer:
    """A trainer that sets out from `start`, or from nothing, compiled."""
    network = build_network("mixed_bfloat16" if precision == "bfloat16" else "float32")
    known, first = {}, plain_style()
    if start:
        set_kernels(network, start.weights)
        known, first = start.styles, np.mean(list(start.styles.values()), axis=0)
    network.trainable = not vector_only
    numbers = np.stack([known.get(name, first) for name in paintings])
    trainer = StyleTrainer(network, numbers, list(paintings.values()), judge, style_weight, tv_weight, each)
    trainer.compile(keras.optimizers.Adam(peak, beta_2=0.99, use_ema=True, ema_momentum=0.99, global_clipnorm=5.0),
                    jit_compile=autodiff.keras_jit())  # fmt: skip
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _fit(trainer: StyleTrainer, data: Photos, epoch: int, callbacks: list[keras.callbacks.Callback]) -> None:
    try:
        trainer.fit(data, epochs=10**9, initial_epoch=epoch, callbacks=callbacks, shuffle=False, verbose=0)
    except Exception as problem:
        first: BaseException = problem  # Keras may stumble over its own state afterwards
        while first.__context__ is not None:
            first = first.__context__
        if autodiff.is_out_of_memory(problem) or autodiff.is_out_of_memory(first):
            raise SettingsError(
                f"the memory does not suffice for a batch of {data.batch} cuts of {data.crop} x {data.crop} pixels on "
                f"{trainer.backbone.name}. Give a smaller batch, or smaller cuts."
            ) from problem
        raise


def _check_tensorboard() -> None:
    for package in ("tensorflow", "tensorboard"):  # Keras writes its logs with TensorFlow, on any engine
        if importlib.util.find_spec(package) is None:
            raise SettingsError(
                f"TensorBoard's logs need the package {package}: pip install {package}, or train without them."
            )


def _check_settings(
    paintings: Mapping[str, np.ndarray],
    minutes: float | None,
    steps: int | None,
    start: StyleFile | None,
    vector_only: bool,
    learning_rate: float | None,
    batch: int,
    crop: int | None,
    style_weight: float,
    tv_weight: float,
    seed: int,
) -> None:
    if not paintings:
        raise SettingsError("no paintings given: there is no style to learn.")
    for name, painting in paintings.items():
        check_picture(painting, f"the painting {name}")
    if minutes is not None and steps is not None:
        raise SettingsError("minutes and steps are both given: give one of them.")
    for what, value, least in (("minutes", minutes, 0.01), ("learning rate", learning_rate, 1e-6)):
        if value is not None:
            check_number(what, value, least)
    for what, weight in (("style weight", style_weight), ("tv weight", tv_weight)):
        check_number(what, weight, 0)
    check_number("seed", seed, 0, 2**32 - 1, whole=True)
    if steps is not None:
        check_number("steps", steps, 1, whole=True)
    check_number("batch", batch, 1, MAX_BATCH, whole=True)
    if crop is not None:
        check_number("crop", crop, 32 + SHIFT, MAX_CROP, whole=True)
        if crop % CELL:
            raise SettingsError(f"crop is {crop}: give a multiple of {CELL}, as 256.")
    if vector_only and not start:
        raise SettingsError(
            "--vector-only needs a trained network to set out from: give one with --from (start= in Python)."
        )
