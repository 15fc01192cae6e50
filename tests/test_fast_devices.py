"""Training on several devices: two that the processor pretends to be, and two processes that meet on this machine."""

import importlib.metadata
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import ROOT

from nst_lib import checkpoints
from nst_lib.errors import SettingsError
from nst_lib.fast import devices
from nst_lib.fast.devices import VARIABLES, Meeting, joined, own_rows, plan_meeting, shared
from nst_lib.fast.styles import StyleFile
from nst_lib.images import crop_to_fit, load_image, save_image

needs_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="trains on JAX, in processes of its own")

# `nst train` on the small scale of test_fast_training.py, with a checkpoint after every epoch. The environment says what
# befalls it: another VERSION, death after the epoch DIES, a NaN in one photograph of the second epoch.
WORKER = """
import os, signal, sys
import numpy as np
import test_fast_training as t
from nst_lib import cli
from nst_lib.fast import devices

class Watched(t.callbacks.ProgressBar):
    def on_epoch_end(self, epoch, logs=None):
        print("loss", logs["loss"], flush=True)
        if epoch == int(os.environ.get("DIES", -1)):
            os.kill(os.getpid(), signal.SIGKILL)

class Spoilt(t.Photos):
    def __getitem__(self, index):
        (batch,) = super().__getitem__(index)
        batch["photos"] = batch["photos"].astype("float32")
        if self.epoch == 1 and index == 0:
            batch["photos"][-1, 5, 5, 0] = np.nan
        return (batch,)

t.make_small(setattr)
t.callbacks.CHECKPOINT_SECONDS = -1
t.training.ProgressBar = Watched
if "VERSION" in os.environ:
    devices.importlib.metadata.version = lambda name: os.environ["VERSION"]
if "NAN" in os.environ:
    t.training.Photos = Spoilt
sys.argv = ["nst", *sys.argv[1:]]
sys.exit(cli.main())
"""


class Worker:
    """`nst train` in a process of its own."""

    def __init__(self, folder, *options, virtual=1, **environment):
        command = ["train", "waves.jpg", "--photos", "photos", "--from", "nothing", "--steps", "12", "--batch", "2"]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={virtual}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *command, *map(str, options)],
            env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": paths, "XLA_FLAGS": flags} | environment,
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self):
        """Its exit code, and what it wrote to stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=400)
        finally:
            self.process.kill()
        return self.process.returncode, out, err


def two_workers(folder, *options, environments=({}, {})):
    """The ends of two workers that train together."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    together = ["--devices", "all", "--coordinator", address, "--processes", 2]
    workers = [Worker(folder, *options, *together, "--process-id", i, **environments[i]) for i in range(2)]
    return [worker.end() for worker in workers]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A painting and two photographs."""
    folder = tmp_path_factory.mktemp("devices")
    (folder / "photos").mkdir()
    for source, target in (
        ("style/hokusai_great_wave.jpg", "waves.jpg"),
        ("content/chelsea_cat.jpg", "photos/cat.png"),
        ("content/great_wall.jpg", "photos/wall.png"),
    ):
        save_image(crop_to_fit(load_image(ROOT / "data" / source), 64, 64), folder / target)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """What one device learns, and what its losses are."""
    code, out, err = Worker(folder, "-o", "alone.npz").end()
    assert code == 0 and "24 pictures" in out, err
    return StyleFile.load(folder / "alone.npz"), losses(out)


def losses(out):
    return [float(line.split()[1]) for line in out.splitlines() if line.startswith("loss ")]


def assert_near(path, out, alone):
    """Equal up to the order in which gradients are summed, of which Adam makes a step where they are nearly 0."""
    file, (other, expected) = StyleFile.load(path), alone
    assert losses(out) == pytest.approx(expected[-len(losses(out)) :], rel=0.01) and losses(out)
    for kind in ("weights", "styles"):
        for name, array in getattr(file, kind).items():
            expected = getattr(other, kind)[name]
            assert np.abs(array - expected).mean() < 0.01 * np.abs(expected).mean() + 1e-4, name


@needs_jax
@pytest.mark.slow
def test_two_devices_learn_what_one_does(folder, alone):
    code, out, err = Worker(folder, "-o", "two.npz", "--devices", "all", virtual=2).end()
    assert code == 0 and "24 pictures" in out and "Traceback" not in err, err
    assert len(losses(out)) == 3
    assert_near(folder / "two.npz", out, alone)


@needs_jax
@pytest.mark.slow
def test_a_nan_on_one_device_sends_all_back(folder):
    code, _, err = Worker(folder, "-o", "nan.npz", "--devices", "all", virtual=2, NAN="1", DIES="2").end()
    assert code == -signal.SIGKILL, err
    header, arrays = checkpoints.read(folder / "nan.training.npz")
    assert header["epochs"] == 3 and header["caution"] == 0.5
    assert all(np.all(np.isfinite(array)) for array in arrays.values())


@needs_jax
@pytest.mark.slow
def test_when_one_worker_is_killed_the_other_says_so_and_both_go_on_from_the_checkpoint(folder, alone):
    (code, _, err), (killed, _, _) = two_workers(folder, "-o", "pair.npz", environments=({}, {"DIES": "0"}))
    assert killed == -signal.SIGKILL and code == 2
    assert "nst: another worker has stopped or cannot be reached. Start all workers again with --resume" in err
    assert "Traceback" not in err
    assert checkpoints.read(folder / "pair.training.npz")[0]["epochs"] == 1 and not (folder / "pair.npz").exists()

    first, second = two_workers(folder, "-o", "pair.npz", "--resume", environments=({}, {"DIES": "7"}))
    assert first[0] == 0 and "worker 0 of 2" in first[1] and "pair.npz: waves; 24 pictures" in first[1], first[2]
    assert second[0] == 0 and "worker 1 of 2" in second[1] and "pair.npz" not in second[1], second[2]
    assert len(losses(first[1])) == 2
    assert_near(folder / "pair.npz", first[1], alone)
    assert not (folder / "pair.training.npz").exists()


@needs_jax
@pytest.mark.slow
def test_when_the_first_worker_is_killed_the_other_says_so(folder):
    (killed, _, _), (code, _, err) = two_workers(folder, "-o", "orphan.npz", environments=({"DIES": "0"}, {}))
    assert killed == -signal.SIGKILL and code != 0
    assert "Start all workers again with --resume" in err.splitlines()[-1] and "Traceback" not in err


@needs_jax
@pytest.mark.slow
def test_a_worker_with_another_version_is_refused(folder):
    version = importlib.metadata.version("nst_lib")
    first, second = two_workers(folder, "-o", "versions.npz", environments=({}, {"VERSION": "9.9"}))
    assert (first[0], second[0]) == (2, 2)
    message = "nst: worker {}'s nst_lib version is {}, and worker {}'s {}: all need the same.\n"
    assert first[2].endswith(message.format(1, "9.9", 0, version))
    assert second[2].endswith(message.format(0, version, 1, "9.9"))


@needs_jax
@pytest.mark.slow
def test_without_the_others_a_worker_says_where_it_waited(folder, monkeypatch):
    together = ("--devices", "all", "--coordinator", "127.0.0.1:9", "--processes", 2, "--process-id", 1)
    script = WORKER.replace("sys.argv = ", "devices.MEETING_SECONDS = 3\nsys.argv = ")
    monkeypatch.setitem(globals(), "WORKER", script)
    code, _, err = Worker(folder, *together).end()
    assert code != 0
    assert err.splitlines()[-1].startswith("nst: not all 2 workers came to 127.0.0.1:9 within 3 s. Check the address")


# Without other processes


def test_a_meeting_from_arguments_and_from_the_environment(monkeypatch):
    assert plan_meeting(None, None, None) is None
    assert plan_meeting("10.0.0.1:29500", 2, 1) == Meeting("10.0.0.1:29500", 2, 1)
    for name, text in zip(VARIABLES, ("10.0.0.1:1234,10.0.0.2:1234", "2", "0"), strict=True):
        monkeypatch.setenv(name, text)
    assert plan_meeting(None, None, None) == Meeting("10.0.0.1:1234", 2, 0)
    assert plan_meeting(None, None, 1) == Meeting("10.0.0.1:1234", 2, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("10.0.0.1:29500", None, None), "not by '10.0.0.1:29500', '' and ''"),
        ((None, 2, 0), "by --coordinator HOST:PORT, the first one's address, --processes N, and on each another"),
        (("10.0.0.1", 2, 0), "not by '10.0.0.1', '2' and '0'"),
        (("10.0.0.1:port", 2, 0), "10.0.0.1:port"),
        (("10.0.0.1:29500", 2, -1), "'-1'"),
        (("10.0.0.1:29500", 2, 2), "process 2 of 2: their numbers go from 0 to 1"),
    ],
)
def test_meetings_that_make_no_sense(given, message):
    with pytest.raises(SettingsError, match=message):
        plan_meeting(*given)


@pytest.mark.parametrize("engine", ["tensorflow", "torch"])
def test_other_engines_are_refused(monkeypatch, engine):
    message = f"on JAX only, not on {engine}: set KERAS_BACKEND=jax.*does not work with Keras 3 .keras#20585."
    monkeypatch.setattr(keras.backend, "backend", lambda: engine)
    with pytest.raises(SettingsError, match=message):
        shared("all", 4)
    monkeypatch.setenv("KERAS_BACKEND", engine)
    with pytest.raises(SettingsError, match=message):
        with joined(Meeting("10.0.0.1:29500", 2, 0)):
            pass


@pytest.fixture
def cluster(monkeypatch):
    """Two machines with three devices each, of which this is the second."""
    fake = SimpleNamespace(device_owners=lambda: [0, 0, 0, 1, 1, 1], process=lambda: (1, 2))
    monkeypatch.setattr(devices, "_engine", lambda: fake)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")


def test_a_batch_is_shared_equally(cluster):
    assert own_rows("all", 12) == range(6, 12) and own_rows("one", 12) == range(12)
    with pytest.raises(SettingsError, match="a batch of 8 cannot be shared equally among 6 devices: give --batch 12"):
        shared("all", 8)
    with pytest.raises(SettingsError, match="train with all their devices: give --devices all"):
        shared("one", 12)
    with pytest.raises(SettingsError, match="unknown devices 'al': did you mean all"):
        shared("al", 12)
