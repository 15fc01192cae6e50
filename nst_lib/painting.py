"""The optimisation loop (Gatys et al. 2015): repaint a photograph until a network finds in it the photograph's content and
the painting's style.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm.auto import tqdm

from nst_lib import autodiff, checkpoints
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.color import COLORS
from nst_lib.errors import CheckpointError, NSTError, SettingsError, check_choice, check_number
from nst_lib.estimate import choose_tiles
from nst_lib.images import MIN_SIDE, check_picture, resize
from nst_lib.losses import STYLE_LOSSES
from nst_lib.objective import Objective
from nst_lib.optimizers import LBFGS, Adam
from nst_lib.pyramid import plan_levels
from nst_lib.stage import Stage, Timing
from nst_lib.subject import Subject
from nst_lib.waves import enlarge_periodic

LARGE = 2_000_000  # pixels: from here on, L-BFGS keeps half as many of its steps, each of which costs two pictures
STEPS = 100  # enough for the pocket VGG at 256 px: more hardly lower the loss that VGG16 sees


@dataclass(frozen=True)
class PaintState:
    """Where a painting stands after a step.

    Attributes:
        step, steps: evaluations so far, and in all (None where seconds are the budget).
        size: height and width of the picture being worked on.
        loss: content_weight x content + 30 x style_weight x mean(style) + tv_weight x total_variation.
        content, style, total_variation: the distances (see `nst_lib.losses`), the style's by layer; the last is 0
            where its weight is, as it is not computed then.
        contributions: what each of them adds to the loss, as it is weighted: "content", "total_variation", and the style
            layers. They sum to the loss.
        seconds, eta: spent optimising so far, and still to come; compiling and loading are not counted.
        backbone: the network in use; before a slow one, the pocket VGG makes a sketch.
    """

    step: int
    steps: int | None
    size: tuple[int, int]
    loss: float
    content: float
    style: dict[str, float]
    total_variation: float
    contributions: dict[str, float]
    seconds: float
    eta: float
    backbone: str


def _check_weights(weights: Mapping[str, Any], style_layers: Sequence[str]) -> None:
    for name in ("content_weight", "style_weight", "tv_weight"):
        check_number(name.replace("_", " "), weights[name], least=0)
    for layer, weight in weights["style_layer_weights"].items():
        check_choice("style layer", layer, style_layers)
        check_number(f"the weight of {layer}", weight, least=0)
    if weights["content_weight"] == 0 and weights["style_weight"] * max(weights["style_layer_weights"].values()) == 0:
        raise SettingsError("the content weight and the style weight are both 0: there is nothing to paint. Raise one.")


def _assignable(name: str) -> Any:
    """A weight of the loss as a property."""

    def get(self: "Painting") -> Any:
        value = self.loss_weights[name]
        return MappingProxyType(value) if isinstance(value, dict) else value  # to be assigned, not changed

    def assign(self: "Painting", value: Any) -> None:
        if name == "style_layer_weights":
            value = dict.fromkeys(self.style_layers, 1.0) | dict(value)
        with self._assigning:
            weights = self.loss_weights | {name: value}
            _check_weights(weights, self.style_layers)
            self.loss_weights, self._steered = weights, True

    return property(get, assign)


class Painting:
    """A picture being painted. `paint` runs one to its budget; `step` alone goes on for as long as you like.

    `content_weight`, `style_weight`, `tv_weight` and `style_layer_weights` can be assigned at any time, from any thread; the
    next step uses them. (Assign all of `style_layer_weights`; layers left out count 1.) `picture` is the best picture so far.

    Args:
        content: the photograph, (h, w, 3) in [0, 1].
        styles: a painting, or several.
        shares: how much of each of several paintings; positive, scaled to sum to 1; by default equal.
        masks: instead, where each of them goes: arrays (height, width) of the photograph's shape, 1 inside; see
            `nst_lib.masks`. What no mask covers stays the photograph.
        size: long side of the result in pixels.
        steps, seconds: the budget: evaluations of the loss (default 100) or seconds of optimisation, shared among the
            sizes of the pyramid; half the steps are for the full size.
        backbone, weights, pooling, padding: see `load_backbone`.
        content_weight, style_weight, tv_weight: of the parts of the loss (see `PaintState.loss`); not negative.
        content_layers, style_layers: layer names; `style_layer_weights` maps some of the latter to weights other than 1.
        style_loss: "gram" (Gatys et al. 2015) or "wasserstein" (means and covariances).
        optimizer: "lbfgs" or "adam"; `learning_rate` is Adam's.
        init: "content", "noise", or a picture to start from. `seed` makes the noise.
        pyramid: how many sizes from coarse to fine, each half the next, or the long sides of all but the last; by default
            down to about 256 pixels.
        style_scale: the paintings' long side over the picture's: 2 for brush strokes twice as broad.
        color: "style" for the painting's colours; to keep the photograph's, "luminance" takes over the picture's lightness
            only, and "content" and "match" recolour the painting first (see `color.match_colors`: linear, histogram).
        tileable: whether copies of the picture are to fit together without a seam; see `nst_lib.textures`.
        sketch: whether a network other than the pocket VGG leaves all but the last size to the pocket VGG, and starts
            from its sketch: the same loss in half the time.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the hardware gains from it.
        memory: GB that it may take, all in all; by default half of what is free, and on a GPU as much as there is. What needs
            more is painted in tiles, which changes nothing but the time: see `nst_lib.tiles`.

    Raises:
        PictureError, SettingsError, WeightsError: as their names say.
    """

    def __init__(
        self,
        content: np.ndarray,
        styles: np.ndarray | Sequence[np.ndarray],
        *,
        shares: Sequence[float] | None = None,
        masks: Sequence[np.ndarray] | np.ndarray | None = None,
        size: int = 256,
        steps: int | None = None,
        seconds: float | None = None,
        backbone: str | None = None,
        weights: str | os.PathLike | None = None,
        pooling: str = "max",
        padding: str = "replicate",
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        tv_weight: float = 0.5,
        content_layers: Sequence[str] = (CONTENT_LAYER,),
        style_layers: Sequence[str] = STYLE_LAYERS,
        style_layer_weights: Mapping[str, float] | None = None,
        style_loss: str = "gram",
        optimizer: str = "lbfgs",
        learning_rate: float = 0.03,
        init: str | np.ndarray = "content",
        seed: int = 0,
        pyramid: int | Sequence[int] | None = None,
        style_scale: float = 1.0,
        color: str = "style",
        tileable: bool = False,
        sketch: bool = True,
        precision: str = "auto",
        memory: float | None = None,
    ):
        paintings: list[Any] = [styles] if hasattr(styles, "__array__") else list(styles)
        check_choice("style loss", style_loss, STYLE_LOSSES)
        check_choice("optimizer", optimizer, ("lbfgs", "adam"))
        check_choice("precision", precision, ("auto", "float32", "bfloat16"))
        if steps is not None and seconds is not None:
            raise SettingsError("give steps or seconds, not both.")
        check_number("steps", 1 if steps is None else steps, whole=True, least=1)
        check_number("seconds", 1 if seconds is None else seconds, least=1e-3)
        check_number("learning rate", learning_rate, least=1e-9)
        check_number("seed", seed, whole=True, least=0)
        check_number("size", size, whole=True, least=MIN_SIDE)
        check_number("memory", 1 if memory is None else memory, least=0.1)
        check_number("style scale", style_scale, least=0.1)
        check_choice("color", color, COLORS)
        self.subject = Subject(content, paintings, size, shares, masks, style_scale, color)
        if self.subject.masks is not None and (shares is not None or style_loss != "gram" or tileable):
            raise SettingsError("masks go with the style loss gram, and neither with shares nor with tileable.")
        self.steps = (steps or STEPS) if seconds is None else None
        self.seconds = seconds
        for what, layers in (("content_layers", content_layers), ("style_layers", style_layers)):
            if isinstance(layers, str):
                raise SettingsError(f"{what} is {layers!r}: give a list of layers, as [{layers!r}].")
        self.content_layers, self.style_layers = list(dict.fromkeys(content_layers)), list(dict.fromkeys(style_layers))
        if not self.content_layers or not self.style_layers:
            raise SettingsError("no layers given for the content or the style: name at least one for each.")
        self.objective = Objective(tuple(self.content_layers), tuple(self.style_layers), style_loss, tileable)
        self.seed = seed
        dtype = autodiff.fastest_dtype() if precision == "auto" else precision
        if optimizer == "adam":
            self.optimizer: Adam | LBFGS = Adam(learning_rate)
        else:
            memory_of_steps = 10 if self.subject.content[..., 0].size < LARGE else 5
            self.optimizer = LBFGS(memory=memory_of_steps, noise=autodiff.loss_noise(dtype), periodic=tileable)
        self.timing = Timing()
        self.settings: dict[str, Any] = {
            "size": size, "steps": self.steps, "seconds": self.seconds, "pooling": pooling, "padding": padding,
            "content_layers": self.content_layers, "style_layers": self.style_layers, "style_loss": style_loss,
            "optimizer": optimizer, "learning_rate": learning_rate, "seed": seed, "pyramid": pyramid, "sketch": sketch,
            "style_scale": style_scale, "color": color, "tileable": tileable, "precision": precision, "shares": shares,
            "memory": memory,
            "weights": None if weights is None else str(weights),
        }  # fmt: skip
        self.loss_weights: dict[str, Any] = {
            "content_weight": content_weight,
            "style_weight": style_weight,
            "tv_weight": tv_weight,
            "style_layer_weights": dict.fromkeys(self.style_layers, 1.0) | dict(style_layer_weights or {}),
        }
        _check_weights(self.loss_weights, self.style_layers)
        final = load_backbone(backbone, weights, pooling, padding, dtype)
        final.check_layers([*self.content_layers, *self.style_layers])
        self.backbone = self.settings["backbone"] = final.name
        coarse = final
        if sketch and final.name != "pocket":
            pocket = load_backbone("pocket", None, pooling, padding, dtype)
            if set(self.content_layers) | set(self.style_layers) <= set(pocket.layers):
                coarse = pocket
        height, width = self.subject.content.shape[:2]
        self.levels = plan_levels(height, width, self.steps or STEPS, final, coarse, pyramid)
        if self.objective.is_sum:
            choose_tiles(self.levels, [*self.content_layers, *self.style_layers], self.optimizer.pictures, memory)
        elif memory is not None:
            raise SettingsError("a limit of memory goes with the style loss gram, and not with tileable.")
        self._assigning = threading.Lock()
        self._steered = False  # whether a weight was assigned since the last step
        self._on_device: tuple[Any, Any] = (None, None)  # weights of the loss, and the same for the device
        self.step_count = 0
        self._loss: Any = None
        self._go_to(0)
        self._state = self.optimizer.start(ops.convert_to_tensor(self._first_picture(init)[None]))

    def _first_picture(self, init: str | np.ndarray) -> np.ndarray:
        height, width = self.levels[0].height, self.levels[0].width
        if isinstance(init, np.ndarray):
            return resize(check_picture(init, "the picture to start from"), (height, width))
        check_choice("init", init, ("content", "noise"))
        if init == "noise":
            return np.random.default_rng(self.seed).uniform(size=(height, width, 3)).astype("float32")
        return resize(self.subject.content, (height, width))

    def step(self) -> None:
        """Evaluate the loss once at the present size, and move the picture.

        Raises:
            SettingsError: if the memory does not suffice, not even for the smallest tiles.
        """
        self._turn()
        given = self.loss_weights
        if self._on_device[0] is not given:  # not at every step, which would wait for the device
            self._on_device = given, self.objective.weight_vector(**given)
        smooth = given["tv_weight"] > 0
        self._state, self._loss, self._parts = self._stage.step(self._state, self._on_device[1], smooth)
        self.step_count += 1
        self.timing.level_steps += 1

    def _turn(self) -> None:
        """After a weight was assigned, void what the optimiser has learnt of the loss."""
        if self._steered:
            self._steered = False
            self._state = self.optimizer.restart(self._state)

    def advance(self) -> None:
        """Go to the next size, or network: carry the picture and what the optimiser knows over to it.

        Raises:
            SettingsError: if the memory does not suffice.
        """
        following = self.levels[self.level + 1]
        shape, old_shape = (following.height, following.width), tuple(self._state["x"].shape[1:3])
        try:
            if old_shape == shape:
                self._state = self.optimizer.restart(self._state)
            else:
                scale = (shape[0] * shape[1]) / (old_shape[0] * old_shape[1])
                bicubic = partial(ops.image.resize, interpolation="bicubic")
                enlarge = partial(enlarge_periodic if self.objective.tileable else bicubic, size=shape)
                self._state = self.optimizer.resize(self._state, enlarge, scale)
        except Exception as problem:
            if not autodiff.is_out_of_memory(problem):
                raise
            raise SettingsError(
                f"the memory does not suffice for {following.width} x {following.height}. Choose a smaller size."
            ) from problem
        self._go_to(self.level + 1)
        self.timing.level, self.timing.level_steps = 0.0, 0

    def _go_to(self, level: int) -> None:
        self.level, before = level, self.levels[level - 1] if level else None
        self._stage = Stage(self.levels[level], before, self.subject, self.objective, self.optimizer, self.timing)

    @property
    def picture(self) -> np.ndarray:
        """The best picture so far, at the present size: (h, w, 3), fetched from the device."""
        return self.subject.finish(np.clip(ops.convert_to_numpy(self._state["best"])[0], 0, 1))

    def state(self) -> PaintState:
        """Where the painting stands; waits for the device.

        Raises:
            SettingsError: before the first step.
            NSTError: if the loss is not a number any more.
        """
        if self._loss is None:
            raise SettingsError("nothing has been painted yet: call `step` first, or run `paint`.")
        if not isinstance(self._loss, float):
            started = time.perf_counter()
            self._loss = float(ops.convert_to_numpy(self._loss))
            self.timing.count(started)
        loss = self._loss
        if not np.isfinite(loss):
            raise NSTError(
                f"the loss became {loss} at step {self.step_count}. Try precision float32, a smaller learning rate, or "
                "smaller weights; the picture as it was is kept."
            )
        parts = ops.convert_to_numpy(self._parts)
        weighted = parts * ops.convert_to_numpy(self._on_device[1])
        level, names = self.levels[self.level], ("content", "total_variation", *self.style_layers)
        distances = dict(zip(names, parts.tolist(), strict=True))
        return PaintState(
            step=self.step_count,
            steps=self.steps,
            size=(level.height, level.width),
            loss=loss,
            content=distances["content"],
            style={name: distances[name] for name in self.style_layers},
            total_variation=distances["total_variation"],
            contributions=dict(zip(names, weighted.tolist(), strict=True)),
            seconds=self.timing.optimize,
            eta=self.eta,
            backbone=level.backbone.name,
        )

    @property
    def eta(self) -> float:
        """Seconds of optimisation still to come, from the pace of the present level."""
        if self.seconds is not None:
            return max(0.0, self.seconds - self.timing.optimize)
        level = self.levels[self.level]
        pace = self.timing.level / max(self.timing.level_steps, 1) / level.step_cost
        left = max(level.steps - self.timing.level_steps, 0) * level.step_cost
        return pace * (left + sum(later.cost for later in self.levels[self.level + 1 :]))

    @property
    def level_finished(self) -> bool:
        """Whether the present level's share of the budget is spent."""
        if self.seconds is None:
            return self.timing.level_steps >= self.levels[self.level].steps
        until = sum(level.cost for level in self.levels[: self.level + 1]) / sum(level.cost for level in self.levels)
        return self.timing.optimize >= self.seconds * until

    @property
    def finished(self) -> bool:
        """Whether the whole budget is spent."""
        return self.level == len(self.levels) - 1 and self.level_finished

    content_weight = _assignable("content_weight")
    style_weight = _assignable("style_weight")
    tv_weight = _assignable("tv_weight")
    style_layer_weights = _assignable("style_layer_weights")

    def save(self, path: str | os.PathLike) -> Path:
        """Write a checkpoint from which `Painting.load` goes on as if nothing had happened. Raises CheckpointError."""
        self._turn()
        subject = self.subject
        header = {
            "settings": self.settings,
            "styles": len(subject.styles),
            "weights": self.loss_weights,
            "level": self.level,
            "step": self.step_count,
            "timing": asdict(self.timing),
        }
        pictures = {"content": subject.content} | {f"style_{i}": style for i, style in enumerate(subject.styles)}
        if subject.masks is not None:
            pictures["masks"] = subject.masks
        tensors = keras.tree.flatten(self._state)
        state = {f"state_{i}": ops.convert_to_numpy(tensor) for i, tensor in enumerate(tensors)}
        return checkpoints.write(path, header, pictures | state)

    @classmethod
    def load(cls, path: str | os.PathLike, weights: str | os.PathLike | None = None) -> "Painting":
        """Go on from a checkpoint. `weights` names the network's weights file if it has moved since.

        Raises:
            CheckpointError: if the file is missing, damaged, or of another version.
        """
        header, arrays = checkpoints.read(path)
        if header.get("kind") == "training":
            raise CheckpointError(
                f"{path} is a checkpoint of a training, not of a painting: `nst train` goes on with it."
            )
        try:
            settings = header["settings"] | header["weights"]
            if weights is not None:
                settings["weights"] = weights
            pictures = [arrays[f"style_{i}"] for i in range(header["styles"])]
            painting = cls(arrays["content"], pictures, masks=arrays.get("masks"), **settings)
            painting.step_count, painting.timing = header["step"], Timing(**header["timing"])
            painting._go_to(header["level"])
            level = painting.levels[painting.level]
            template = painting.optimizer.start(ops.zeros((1, level.height, level.width, 3)))
            tensors = [arrays[f"state_{i}"] for i in range(len(keras.tree.flatten(template)))]
        except KeyError as problem:
            raise CheckpointError(f"{path} is damaged: it has no {problem}. Start without it.") from problem
        painting._state = keras.tree.pack_sequence_as(template, [ops.convert_to_tensor(tensor) for tensor in tensors])
        return painting


def paint(painting: Painting, every: int = 1) -> Iterator[PaintState]:
    """Run a painting to its budget, from wherever it is.

    Args:
        painting: what to run; its `picture` may be looked at, and its weights changed, between any two states.
        every: steps between the states that are yielded. On a GPU, 10 or more keep it from waiting for us.

    Yields:
        A PaintState after every `every` steps, and after the last.
    """
    check_number("every", every, whole=True, least=1)
    while not painting.finished:
        if painting.level_finished:
            painting.advance()
        painting.step()
        if painting.step_count % every == 0 or painting.level_finished:
            yield painting.state()


def stylize(
    content: np.ndarray, styles: np.ndarray | Sequence[np.ndarray], *, progress: bool = True, **settings: Any
) -> np.ndarray:
    """The short way: a photograph and a painting in, a picture out, with a progress bar between.

    Takes what `Painting` takes, and returns the picture, (h, w, 3) in [0, 1].
    """
    painting = Painting(content, styles, **settings)
    with tqdm(total=painting.steps, desc="painting", leave=False, disable=not progress) as bar:
        for state in paint(painting, every=autodiff.steps_between_looks()):
            bar.update(state.step - bar.n)
            bar.set_postfix(loss=f"{state.loss:.3f}")
    return painting.picture
