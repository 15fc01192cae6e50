"""What a training needs besides Keras' own callbacks: a budget, exact checkpoints, a guard against NaN, samples."""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm.auto import tqdm

from nst_lib import checkpoints
from nst_lib.errors import CheckpointError, PictureError, SettingsError
from nst_lib.fast.devices import agree, apart, from_first, is_first
from nst_lib.fast.network import get_kernels
from nst_lib.fast.photos import CROP, Photos
from nst_lib.fast.running import make_runner, paint_picture
from nst_lib.files import save_elsewhere
from nst_lib.images import crop_to_fit, save_image

CHECKPOINT_SECONDS = 30
SAMPLE_SECONDS = PRINT_SECONDS = 60
NUMBERS = ("seconds", "epochs", "steps_per_epoch", "caution")  # of a checkpoint: where the training stands


@dataclass
class Budget:
    """How much of a training is done: seconds and steps, of which one is limited. It ends with an epoch."""

    max_seconds: float | None
    max_steps: int | None
    steps_per_epoch: int = 1
    seconds: float = 0.0
    epochs: int = 0

    @property
    def steps(self) -> int:
        """Those done."""
        return self.epochs * self.steps_per_epoch

    @property
    def share(self) -> float:
        """What has been spent, from 0 to 1."""
        return min(1.0, self.seconds / self.max_seconds if self.max_seconds else self.steps / (self.max_steps or 1))

    @property
    def spent(self) -> bool:
        """Whether the training is over."""
        return self.share >= 1

    @property
    def seconds_left(self) -> float:
        """Until the end, at the present pace."""
        return self.seconds * (1 / self.share - 1) if self.share else math.nan


class Run(keras.callbacks.Callback):
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
        self.caution = 1.0  # halved with every NaN
        self.good: list[np.ndarray] = []  # the last state without
        self.unsaved = ""  # why there is no checkpoint of where it was stopped
        self.saved = time.monotonic()

    def restore(self, trainer: keras.Model) -> None:
        """Go on from the checkpoint. Raises CheckpointError if it is of another training."""
        if self.checkpoint is None:
            raise CheckpointError("there is no checkpoint to go on from: give its file.")
        like = [np.zeros(4), *_get_state(trainer)]
        numbers, *self.good = from_first(lambda: self._read(like), like)
        self.budget.seconds, epochs, per_epoch, self.caution = (float(number) for number in numbers)
        # Epochs stay as long as they were, also on a GPU after a processor: the photographs are drawn by epoch.
        self.budget.epochs, self.budget.steps_per_epoch = round(epochs), round(per_epoch)
        self.data.steps = self.budget.steps_per_epoch
        _set_state(trainer, self.good)

    def _read(self, like: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The checkpoint's NUMBERS, and its state."""
        header, arrays = checkpoints.read(self.checkpoint or "")
        if header.get("kind") != "training":
            raise CheckpointError(f"{self.checkpoint} is a checkpoint of a painting, not of a training.")
        for name, value in self.settings.items():
            if header["settings"].get(name) != value:
                raise CheckpointError(
                    f"{self.checkpoint} is of another training: its {name.replace('_', ' ')} is "
                    f"{header['settings'].get(name)}, not {value}. Give the same again, or start afresh without --resume."
                )
        state = [np.array([header[name] for name in NUMBERS]), *arrays.values()]
        if [array.shape for array in state] != [array.shape for array in like]:
            raise CheckpointError("the checkpoint is of another network. Start afresh without --resume.")
        return state

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
        state = _get_state(self.model)
        if math.isfinite((logs or {}).get("loss", 0.0)) and all(np.all(np.isfinite(array)) for array in state):
            self.good = state
        else:
            self.caution /= 2
            if not self.good or self.caution < 0.01:
                raise SettingsError(
                    "the training does not settle: its loss is not a number. Give a lower learning rate."
                )
            _set_state(self.model, self.good)
        self.budget.seconds, stop = agree(self.budget.seconds, bool(self.should_stop()))
        stop = stop or self.budget.spent
        if self.checkpoint is not None and is_first() and (stop or time.monotonic() - self.saved > CHECKPOINT_SECONDS):
            self._save(self.checkpoint, last=stop)
        self.model.stop_training = stop

    def _save(self, path: str | os.PathLike, last: bool) -> None:
        numbers = (self.budget.seconds, self.budget.epochs, self.budget.steps_per_epoch, self.caution)
        header = {"kind": "training", "settings": self.settings, **dict(zip(NUMBERS, numbers, strict=True))}
        arrays = {f"{i:03}": array for i, array in enumerate(self.good)}
        try:
            checkpoints.write(path, header, arrays)
        except CheckpointError as problem:  # a full disk is no reason to lose a training
            if not last:
                print(f"nst: training on, but {problem}", file=sys.stderr)
            elif not self.budget.spent:
                self.unsaved = f"{problem} {_save_elsewhere(path, header, arrays)}"
        self.saved = time.monotonic()


def _save_elsewhere(path: str | os.PathLike, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """Write the checkpoint for which there is no room somewhere else; say where."""
    spare = save_elsewhere(path, lambda place: checkpoints.write(place, header, arrays))
    if spare is None:
        return "What was trained since the checkpoint before is lost."
    return f"It is in {spare} instead: move it to {path}, then go on with --resume."


def _variables(trainer: keras.Model) -> list[keras.Variable]:
    return [*trainer.network.variables, trainer.styles, *trainer.optimizer.variables]


def _get_state(trainer: keras.Model) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(variable)) for variable in _variables(trainer)]


def _set_state(trainer: keras.Model, state: Sequence[np.ndarray]) -> None:
    for variable, array in zip(_variables(trainer), state, strict=True):
        variable.assign(array)


class Samples(keras.callbacks.Callback):
    """Some photographs in each style, as a picture, every minute: how the averaged weights would paint them now."""

    def __init__(self, path: str | os.PathLike, paintings: Mapping[str, np.ndarray], data: Photos):
        super().__init__()
        self.path, self.paintings, self.drawn = Path(path), paintings, time.monotonic()
        random = np.random.default_rng(0)
        chosen = random.choice(len(data.photos), min(4, len(data.photos)), replace=False)
        photos = [data.photos[i] for i in chosen]
        self.photos = [data.cut(photo, *data.place(photo, random)) / np.float32(255) for photo in photos]

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
        rows = []
        with apart():
            run = make_runner(kernels)
            for painting, numbers in zip(self.paintings.values(), all_numbers, strict=True):
                painted = [paint_picture(run, photo, numbers)[0] for photo in self.photos]
                rows.append(np.concatenate([crop_to_fit(painting, CROP, CROP), *painted], axis=1))
        try:
            save_image(np.concatenate(rows), self.path)
        except PictureError as problem:  # a full disk, which is no reason to lose a training
            print(f"nst: no samples: {problem}", file=sys.stderr)
        self.drawn = time.monotonic()


class ProgressBar(keras.callbacks.Callback):
    """A line with the loss and its parts, photographs per second, and the time left."""

    def __init__(self, budget: Budget, batch: int, show: bool | None):
        super().__init__()
        self.budget, self.batch = budget, batch
        layout = "{percentage:3.0f}%|{bar}| {desc}"
        hide = None if show is None else not show
        self.bar = tqdm(desc="starting", total=1000, bar_format=layout, disable=hide, dynamic_ncols=True)
        self.silent, self.printed = show is False, time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Renew the line; without a terminal, print one every minute."""
        seconds, logs = max(self.budget.seconds, 1e-9), logs or {}
        text = (
            f"loss {logs['loss']:.3f} (content {logs['content']:.3f}, style {logs['style']:.3f}), "
            f"{self.batch * self.budget.steps / seconds:.0f} pictures/s, "
            f"{tqdm.format_interval(round(self.budget.seconds_left))} left"
        )
        self.bar.set_description_str(text, refresh=False)
        self.bar.update(round(1000 * self.budget.share) - self.bar.n)
        if self.bar.disable and not self.silent and time.monotonic() - self.printed > PRINT_SECONDS:
            print(text, file=sys.stderr)
            self.printed = time.monotonic()

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the line as it is."""
        self.bar.close()
