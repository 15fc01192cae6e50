"""What the peers of the benchmark share: reading their task, and keeping pictures while their clock stands still."""

import argparse
import json
import time

import numpy as np


class Recorder:
    """Keeps the picture after steps 1, 2, 3, ... and, from 10 on, after every tenth part more."""

    def __init__(self, file: str):
        self.file, self.seconds, self.next = file, 0.0, 1
        self.kept: list[tuple[float, float, np.ndarray]] = []
        self.started = time.perf_counter()

    def due(self, step: int) -> bool:
        return step >= self.next

    def keep(self, step: int, loss: float, picture: np.ndarray) -> None:
        """After `due`: the picture (h, w, 3) as it is, not clipped, and its method's loss."""
        self.pause()
        self.kept.append((self.seconds, loss, picture.astype("float32")))
        self.next = max(step + 1, int(step * 1.1))
        self.started = time.perf_counter()

    def pause(self) -> None:
        self.seconds += time.perf_counter() - self.started

    def write(self) -> None:
        seconds, losses, pictures = zip(*self.kept, strict=True)
        np.savez(self.file, seconds=seconds, losses=losses, pictures=np.stack(pictures))


def read_task() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], argparse.Namespace]:
    """The photograph and the painting (h, w, 3) in [0, 1], VGG16's arrays `layer/kind`, and the options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pair", help=".npz with `content` and `style`")
    parser.add_argument("weights", help="VGG16's, .npz")
    parser.add_argument("out", help=".npz with `seconds`, `losses` and `pictures`")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--settings", type=json.loads, default={}, help="of nst_lib's Painting")
    options = parser.parse_args()
    with np.load(options.pair) as pair, np.load(options.weights) as weights:
        return pair["content"], pair["style"], dict(weights), options
