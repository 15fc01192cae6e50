"""What the tests share: two small pictures, and the real weights beside the repository where there are any."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nst_lib.engine import start_engine

ROOT = Path(__file__).resolve().parent.parent

# PyTorch's threads wait for each other in a busy loop: with other work on the cores, a step takes thirty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# JAX compiles the same step for one test after another, four seconds each time, unless it keeps what it has compiled.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Nor are they optimised: with pictures as small as the tests', that takes longer than it saves, a third of all the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, or one process would be left with them while the other has nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """The engine's and pytest's million objects stay: Python need not look through them for garbage again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def default_backbone(monkeypatch):
    """The pocket VGG is the default, whatever the environment of whoever runs the tests says."""
    monkeypatch.delenv("NST_BACKBONE", raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository with the weights of the real VGG16 and VGG19."""
    folder = ROOT.parent / "shared"
    if not (folder / "weights").is_dir():
        pytest.skip(f"needs the real VGG weights in {folder}, which are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A photograph (64, 64, 3) and a painting (48, 64, 3)."""
    return load_pair()


def load_pair() -> tuple[np.ndarray, np.ndarray]:
    """What the fixture `pair` is, for scripts."""
    from nst_lib.images import crop_to_fit, load_image

    photograph = crop_to_fit(load_image(ROOT / "data/content/chelsea_cat.jpg"), 64, 64)
    painting = crop_to_fit(load_image(ROOT / "data/style/hokusai_great_wave.jpg"), 48, 64)
    return photograph, painting


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def nst(capfd) -> Callable[..., Result]:
    """Run `nst` in this process. Whatever happens, it must not be a traceback."""

    from nst_lib import cli

    def run(*arguments: object) -> Result:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse
            code = leaving.code
        result = Result(code, *capfd.readouterr())
        assert "Traceback" not in result.err
        return result

    return run


@pytest.fixture
def formula(monkeypatch) -> None:
    """Trainings whose epochs are a formula instead of steps that an engine compiles: for what surrounds them."""
    start_engine()
    import keras

    from nst_lib.fast import training

    def fit(trainer, data, epoch, callbacks):
        told = keras.callbacks.CallbackList(callbacks, model=trainer)
        trainer.stop_training = False
        told.on_train_begin()
        while not trainer.stop_training:
            told.on_epoch_begin(epoch)
            assert data[0][0]["photos"].shape == (data.batch, data.crop, data.crop, 3)
            trainer.styles.assign(0.9 * keras.ops.convert_to_tensor(trainer.styles))
            told.on_epoch_end(epoch, {"loss": 3.0 / (1 + epoch), "content": 1.0 / (1 + epoch), "style": 0.1})
            epoch += 1
        told.on_train_end()

    monkeypatch.setattr(training, "_fit", fit)
