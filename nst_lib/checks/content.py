"""Checks for notebook 02."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nst_lib.checks import WrongAnswer, call, exercise, expect, expect_close, to_array

SHUFFLE = (3, 0, 4, 2, 1)
DOWN, RIGHT = 3, 7


@exercise
def relu_gradient(gradient: Any, W: np.ndarray) -> str:
    """The gradient of a relative distance behind a ReLU, against finite differences."""
    light_right, light_left, light_both = np.array([[0.2, 0.4, 0.9, 0.7], [0.9, 0.7, 0.2, 0.4], [0.8, 0.2, 0.6, 0.8]])

    def distance(x: np.ndarray, photo: np.ndarray) -> float:
        target = np.maximum(W @ photo, 0)
        return float(np.sum((np.maximum(W @ x, 0) - target) ** 2) / np.sum(target**2))

    for x, photo, case in (
        (light_both, light_right, "both numbers are positive"),
        (light_left, light_right, "one number is silent"),
        (light_both, light_left, "one number of the photograph is silent"),
    ):
        steps = 1e-5 * np.eye(4)
        slopes = np.array([(distance(x + step, photo) - distance(x - step, photo)) / 2e-5 for step in steps])
        answer = to_array(call(gradient, x, photo, W))
        if answer.shape == (4,) and case == "one number is silent" and np.abs(answer - slopes).max() > 1e-3:
            raise WrongAnswer(
                "Right where the layer speaks, wrong where it is silent: what does max(0, ...) pass back there?"
            )
        expect_close(answer, slopes, f"The gradient where {case}")
    return "Right. To a silent filter's pixels it says nothing: they may be wrong for ever."


def shuffled(pictures: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Five pictures in an order that is not theirs."""
    ordered = list(pictures.values())
    return [ordered[place] for place in SHUFFLE]


@exercise
def which_is_which(order: Any) -> str:
    """The indices that undo the shuffling."""
    order = to_array(order)
    expect(order.shape == (5,), f"Five indices were asked for, in one list; this has the shape {order.shape}.")
    expect(sorted(order) == list(range(5)), "Each of the indices 0, 1, 2, 3 and 4 belongs in the list once.")
    truth = list(np.argsort(SHUFFLE))
    if list(order) == truth[::-1]:
        raise WrongAnswer("That is the way back: from the deepest to the earliest. Turn it round.")
    if list(order) == list(SHUFFLE):
        raise WrongAnswer("Those are the layers of the five pictures. Asked for are the pictures in the layers' order.")
    right = sum(int(place) == wanted for place, wanted in zip(order, truth, strict=True))
    expect(right == 5, f"Not yet: {right} of the five are in place. Would another layer be a better judge?")
    return "All five, and nobody looked."


def moved_view(picture: np.ndarray) -> np.ndarray:
    """A window (100, 160) of the picture, somewhere else than at its corner."""
    return picture[DOWN : DOWN + 100, RIGHT : RIGHT + 160]


@exercise
def lost_and_found(found: Any) -> str:
    """Where the window was."""
    found = to_array(found)
    expect(found.shape == (2,), "Two numbers were asked for: (down, right).")
    if tuple(found) == (RIGHT, DOWN):
        raise WrongAnswer("Nearly: which of the two is down, and which is right?")
    expect(tuple(found) == (DOWN, RIGHT), "Not there: at the right place, the distance is 0 to the last digit.")
    return f"{DOWN} down, {RIGHT} to the right."


@exercise
def forgiving(distance: Any, lemurs: np.ndarray, kingfisher: np.ndarray) -> str:
    """A distance between activations that ignores positions."""

    def measure(F: np.ndarray, P: np.ndarray) -> float:
        value = to_array(call(distance, F, P))
        expect(value.size == 1, f"A distance is one number; this has {value.size}.")
        number = float(value.reshape(()))
        expect(np.isfinite(number), f"The distance came out as {number}.")
        return number

    rng = np.random.default_rng(0)
    positions = lemurs.reshape(-1, lemurs.shape[-1])
    mixed_up = rng.permutation(positions).reshape(lemurs.shape)
    expect(abs(measure(lemurs, lemurs)) < 1e-4, "From the notes to themselves it is not 0.")
    expect(abs(measure(lemurs[:, :, ::-1], lemurs)) < 1e-4, "It minds the mirror: the mirrored notes are not at 0.")
    expect(
        abs(measure(mixed_up, lemurs)) < 1e-4, "It minds the order: the same notes at shuffled positions are not at 0."
    )
    other = measure(kingfisher, lemurs)
    expect(other > 0.02, f"It forgives too much: the kingfisher is at {other:.3g}, as good as the lemurs.")
    louder = measure(10 * kingfisher, 10 * lemurs)
    expect(abs(louder - other) < 0.01 * other, "It is not relative: ten times louder notes have another distance.")
    return f"0 for the shuffled lemurs, {other:.2f} for the kingfisher."


@exercise
def chimera(picture: Any, left: np.ndarray, right: np.ndarray) -> str:
    """A picture that is one photograph on the left and another on the right, as block3 sees them."""
    from nst_lib.backbones import load_backbone  # here, because it starts the engine
    from nst_lib.losses import relative_error

    if isinstance(picture, tuple):
        raise WrongAnswer("That is a tuple: `reconstruct` returns the picture and its history. Keep the first.")
    answer = to_array(picture).astype("float32")
    expect(answer.shape == left.shape, f"The picture's shape should be {left.shape}, not {answer.shape}.")
    expect(np.isfinite(answer).all(), "Some of its pixels are not numbers.")
    layer = "block3_conv3"
    net = load_backbone("pocket", padding="replicate")
    notes = [net(image, [layer])[layer] for image in (answer, left, right)]
    half = notes[0].shape[2] // 2
    to_left = float(relative_error(notes[0][:, :, :half], notes[1][:, :, :half]))
    to_right = float(relative_error(notes[0][:, :, half:], notes[2][:, :, half:]))
    expect(to_left < 0.5, f"Its left half is not the first photograph's: the distance there is {to_left:.2f}.")
    expect(to_right < 0.5, f"Its right half is not the second photograph's: the distance there is {to_right:.2f}.")
    pasted = np.concatenate([left[:, : left.shape[1] // 2], right[:, right.shape[1] // 2 :]], axis=1)
    expect(np.abs(answer - pasted).mean() > 0.01, "That is pasted from pixels. Paste the notes, and reconstruct.")
    return f"Distances of {to_left:.2f} on the left and {to_right:.2f} on the right: both are in it."
