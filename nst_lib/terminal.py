"""Painting in a terminal, so that nothing is lost: a progress bar, checkpoints, Ctrl-C, a full disk."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from nst_lib.errors import CheckpointError, PictureError
from nst_lib.files import save_elsewhere
from nst_lib.images import resize, save_image

if TYPE_CHECKING:  # not otherwise, as it starts the engine
    from nst_lib.painting import Painting, PaintState

CHECKPOINT_SECONDS = 60  # a longer run keeps a checkpoint on the disk, this often
SLOW_CHECKPOINT = 3  # seconds; one that takes longer, as a large print's, may take a twentieth of the time


def progress_bar(doing: str) -> tqdm:
    """A bar in a terminal, gone when done; nothing elsewhere, so as not to flood logs."""
    layout = "{percentage:3.0f}%|{bar}| {desc}"
    often = {"mininterval": 0, "miniters": 1}  # every step, however quick
    return tqdm(desc=doing, total=1000, bar_format=layout, leave=False, disable=None, dynamic_ncols=True, **often)


def paint_to_file(
    painting: "Painting", output: Path, checkpoint: Path | None = None
) -> "tuple[int | None, PaintState | None]":
    """Run a painting to the end of its budget, to Ctrl-C or SIGTERM, or to an error, and save it.

    A stopped painting also leaves a checkpoint, if it has been given a place. A finished one removes it.

    Returns:
        The number of the signal that stopped it, or None; the last state, or None where nothing was left to do.

    Raises:
        PictureError: if the picture cannot be written there; the message says where it is instead.
        CheckpointError: if a stopped painting's checkpoint cannot be written; the picture has been.
    """
    with noted_signals() as signals:
        last = None
        try:
            for state in _run(painting, checkpoint):
                last = state
                if signals:
                    break
        except Exception:  # of the engine, perhaps after hours
            if last is not None:
                _save_picture(painting, output, checkpoint)
                print(f"nst: the picture as it was at step {last.step} is {output}.", file=sys.stderr)
            raise
        if painting.finished:
            _save_picture(painting, output, checkpoint)
            if checkpoint:
                checkpoint.unlink(missing_ok=True)
            return None, last
        try:
            if checkpoint:
                painting.save(checkpoint)
        finally:
            _save_picture(painting, output, checkpoint)
        return signals[0], last


@contextmanager
def noted_signals(after: str = "this step") -> Iterator[list[int]]:
    """A list to which Ctrl-C, SIGTERM and the terminal's end are added, instead of breaking into a step or into saving."""
    noted: list[int] = []
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)

    def note(number: int, _frame: Any) -> None:
        if not noted:
            with suppress(OSError):  # the terminal may be the one that was closed
                # `print` cannot bear to be interrupted by `print`.
                os.write(2, f"\nnst: stopping after {after} ...\n".encode())
        noted.append(number)

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(painting: "Painting", checkpoint: Path | None) -> "Iterator[PaintState]":
    """The states of a painting that runs with a bar and checkpoints."""
    from nst_lib import autodiff
    from nst_lib.painting import paint

    due = time.monotonic() + CHECKPOINT_SECONDS
    with progress_bar("measuring the pictures, compiling") as bar:
        for state in paint(painting, every=autodiff.steps_between_looks()):
            text = _describe(state)
            bar.set_description_str(text, refresh=False)
            bar.update(round(1000 * state.seconds / max(state.seconds + state.eta, 1e-9)) - bar.n)
            yield state
            if checkpoint and time.monotonic() >= due:
                started = time.monotonic()
                if bar.disable:
                    print(text, file=sys.stderr)
                try:
                    painting.save(checkpoint)
                except CheckpointError as problem:
                    bar.write(f"nst: painting on, but {problem}", file=sys.stderr)
                took = time.monotonic() - started
                due = time.monotonic() + (CHECKPOINT_SECONDS if took < SLOW_CHECKPOINT else 20 * took)


def _describe(state: "PaintState") -> str:
    step = f"{state.step}/{state.steps}" if state.steps else str(state.step)
    left = tqdm.format_interval(round(state.eta))
    return f"step {step}, {state.size[1]}x{state.size[0]} {state.backbone}, loss {state.loss:.3f}, {left} left"


def _save_picture(painting: "Painting", output: Path, checkpoint: Path | None) -> None:
    picture = resize(painting.picture, painting.subject.content.shape[:2])
    try:
        save_image(picture, output)
    except PictureError as problem:  # a full disk, say; the folder for temporary files may be on another
        spare = save_elsewhere(output, lambda path: save_image(picture, path))
        where = f"is in {spare} instead" if spare else "could not be kept"
        also = f", and the checkpoint {checkpoint} is kept" if checkpoint and checkpoint.is_file() else ""
        raise PictureError(f"{problem} The picture {where}{also}.") from problem


def picture_in_text(pixels: np.ndarray) -> str:
    """A small picture (height, width, 3), uint8, for a terminal: two rows of pixels to a line, as half blocks."""
    lines = []
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{r};{g};{b}m\x1b[48;2;{r2};{g2};{b2}m\u2580"
            for (r, g, b), (r2, g2, b2) in zip(upper, lower, strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
