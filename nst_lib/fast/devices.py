"""Training on several devices, of one machine or of several: Keras' data parallelism, on JAX.

Every device has the whole network and its share of each batch, and follows the mean gradient, which is that of one device
with the whole batch. On several machines, each runs the same command, as one process that uses all its devices: a worker. The
workers meet at the address of the first, which alone shows the progress and writes files.
"""

import importlib.metadata
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from nst_lib.errors import CheckpointError, NSTError, SettingsError, check_choice

DEVICES = ("one", "all")
# What keras.distribution.initialize reads, too.
VARIABLES = tuple(f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID"))
MEETING_SECONDS = 300  # that the workers wait for each other at the start
TEXT = 4096  # bytes: the length of what they tell each other about themselves
GO_ON = "Start all workers again with --resume: they go on from the checkpoint beside the first one's style file."
# JAX ends a process that has lost another, without a chance to say so. This one, beside it, reads what is to be said in that
# case from a pipe, and says the last line of it when the pipe ends.
WATCHER = "import sys; *_, last = ['', *sys.stdin.read().splitlines()]; last and print('nst:', last, file=sys.stderr)"


class Meeting(NamedTuple):
    """Where the processes of a training meet, how many they are, and which of them this is."""

    address: str
    processes: int
    process_id: int


def plan_meeting(address: str | None, processes: int | None, process_id: int | None) -> Meeting | None:
    """The meeting that is described by the arguments and, where they are None, by Keras' variables in the environment.

    Returns:
        None where nothing is given: this process trains alone.

    Raises:
        SettingsError: if something is missing or makes no sense.
    """
    given = [os.environ.get(name) if value is None else str(value)
             for name, value in zip(VARIABLES, (address, processes, process_id), strict=True)]  # fmt: skip
    if given == [None] * 3:
        return None
    place, count, number = (text or "" for text in given)
    place = place.split(",")[0]  # Keras lets one list the others' addresses, too
    host, _, port = place.rpartition(":")
    if not (host and port.isdecimal() and count.isdecimal() and number.isdecimal()):
        raise SettingsError(
            "several machines train together by --coordinator HOST:PORT, the first one's address, --processes N, and on each "
            f"another --process-id from 0 to N - 1 (or {', '.join(VARIABLES)}), not by {place!r}, {count!r} and {number!r}."
        )
    if int(number) >= int(count):
        raise SettingsError(f"process {number} of {count}: their numbers go from 0 to {int(count) - 1}.")
    return Meeting(place, int(count), int(number))


@contextmanager
def joined(meeting: Meeting | None) -> Iterator[None]:
    """Be one of several workers until the block ends. Enter it before the engine starts.

    Where the block raises, the whole process ends with the message and code 2, for the others would wait for it for minutes.

    Raises:
        SettingsError: on another engine than JAX.
    """
    if meeting is None:
        yield
        return
    check_engine(os.environ.get("KERAS_BACKEND") or "tensorflow")
    engine = _engine()
    with subprocess.Popen([sys.executable, "-c", WATCHER], stdin=subprocess.PIPE, text=True, bufsize=1,
                          start_new_session=True) as watcher:  # fmt: skip
        assert watcher.stdin is not None
        tell = watcher.stdin.write
        tell(f"not all {meeting.processes} workers came to {meeting.address} within {MEETING_SECONDS} s. Check the "
             "address, and that --processes is how many you start.\n")  # fmt: skip
        try:
            engine.meet(*meeting, MEETING_SECONDS)
            tell(f"worker {meeting.process_id} was ended, by the system or because it has lost another one. {GO_ON}\n")
            check_same("nst_lib version", importlib.metadata.version("nst_lib"))
            yield
            engine.part()
            tell("\n")
        except BaseException as problem:
            tell("\n")
            sys.stdout.flush()
            _say(problem)
            os._exit(130 if isinstance(problem, KeyboardInterrupt) else 2)


def _say(problem: BaseException) -> None:
    signs = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED")  # of an operation whose other half does not come
    if isinstance(problem, NSTError):
        print(f"nst: {problem}", file=sys.stderr, flush=True)
    elif any(sign in str(problem) for sign in signs):
        print(f"nst: another worker has stopped or cannot be reached. {GO_ON}", file=sys.stderr, flush=True)
    elif not isinstance(problem, KeyboardInterrupt):
        traceback.print_exception(problem)


def check_engine(engine: str) -> None:
    """Raise SettingsError unless the engine can train on several devices."""
    if engine != "jax":
        raise SettingsError(
            f"several devices train together on JAX only, not on {engine}: set KERAS_BACKEND=jax. Keras has no data "
            "parallelism for PyTorch, and TensorFlow's for several machines does not work with Keras 3 (keras#20585)."
        )


def shared(devices: str, batch: int) -> AbstractContextManager[Any]:
    """Where a network is built and trained, so that its batches are shared among the `devices`.

    Raises:
        SettingsError: on an engine that cannot, or if the batch cannot be shared equally.
    """
    check_choice("devices", devices, DEVICES)
    if devices == "one":
        if process_count() > 1:
            raise SettingsError("workers on several machines train with all their devices: give --devices all.")
        return nullcontext()
    import keras

    check_engine(keras.backend.backend())
    count = len(_engine().device_owners())
    if batch % count:
        raise SettingsError(
            f"a batch of {batch} cannot be shared equally among {count} devices: give --batch {-(-batch // count) * count}."
        )
    return keras.distribution.DataParallel(auto_shard_dataset=False).scope() if count > 1 else nullcontext()


def own_rows(devices: str, batch: int) -> range:
    """Which of a batch's photographs go to this process' devices."""
    if devices == "one":
        return range(batch)
    owners, (process, _) = _engine().device_owners(), _engine().process()
    first, count = owners.index(process), owners.count(process)
    each = batch // len(owners)
    return range(each * first, each * (first + count))


@contextmanager
def apart() -> Iterator[None]:
    """For what a worker does on its own: a network that is built here is on its own device alone."""
    import keras

    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def process_count() -> int:
    """How many workers train together; 1 is alone."""
    return _engine().process()[1]


def is_first() -> bool:
    """Whether this worker is alone, or the one that shows the progress and writes the files."""
    return _engine().process()[0] == 0


def agree(seconds: float, stop: bool) -> tuple[float, bool]:
    """What all workers go by: the first one's seconds, and whether any of them is to stop."""
    if process_count() == 1:
        return seconds, stop
    each = _engine().gather(np.array([seconds, stop], "float32"))
    return float(each[0, 0]), bool(each[:, 1].any())


def from_first(read: Callable[[], list[np.ndarray]], like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays that `read` returns on the first worker, given to all. They are of the shapes and types of `like`.

    Raises:
        NSTError: whatever `read` raises; on the other workers, with the same words.
    """
    if process_count() == 1:
        return read()
    arrays, said = list(like), ""
    if is_first():
        try:
            arrays = read()
        except NSTError as problem:
            said = str(problem)
    said = _gather_texts(said)[0]
    if said:
        raise CheckpointError(said)
    return list(_engine().give_out(arrays))


def check_same(what: str, value: str) -> None:
    """Raise SettingsError, with both values, unless all workers have the same."""
    if process_count() == 1:
        return
    for worker, other in enumerate(_gather_texts(value)):
        if other != value:
            raise SettingsError(
                f"worker {worker}'s {what} is {other}, and worker {_engine().process()[0]}'s {value}: all need the same."
            )


def _gather_texts(text: str) -> list[str]:
    padded = np.frombuffer(text.encode()[:TEXT].ljust(TEXT), "uint8")
    return [bytes(row).decode(errors="replace").rstrip() for row in _engine().gather(padded)]


def _engine() -> Any:
    """The engine's side of it; imported when it is needed, as it starts the engine."""
    from nst_lib import autodiff

    return autodiff
