"""Writing files so that a crash or a full disk leaves the old file or the new one, never half of one."""

import itertools
import os
import secrets
import shutil
import stat
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nst_lib.errors import NSTError, SettingsError

# What reading an .npz file raises where it is damaged: `zipfile`, `zlib` and numpy have ideas of their own.
DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def atomic_path(path: str | os.PathLike[str], error: type[NSTError] = NSTError) -> Iterator[Path]:
    """The path of an empty file, of the same suffix, that takes its place at `path` only when the block ends without an
    exception.

    It is in the same folder, is flushed to the disk, and is then renamed. A link stays, and what it points to is replaced; a
    file that was there leaves its permissions to the new one. A problem (see `check_writable`; disk full) is raised as
    `error`, with the path and what to do.
    """
    check_writable(path, error)
    path, target = Path(path), Path(os.path.realpath(path))
    temporary = target.parent / f".nst-{secrets.token_hex(8)}{path.suffix[:8].lower()}"
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        temporary.touch(0o666 if mode is None else 0o600, exist_ok=False)
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)
    except OSError as problem:
        raise _unwritten(path, problem, error) from problem
    finally:
        with suppress(OSError):  # gone already where all went well
            temporary.unlink()


@contextmanager
def atomic_write(path: str | os.PathLike[str], error: type[NSTError] = NSTError) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its place at `path` as `atomic_path` says.

    To what is no file, as a pipe or /dev/stdout, the bytes go as they come.
    """
    if _is_no_file(path):
        check_writable(path, error)
        try:
            with open(path, "wb") as file:
                yield file
        except OSError as problem:
            raise _unwritten(path, problem, error) from problem
    else:
        with atomic_path(path, error) as temporary, open(temporary, "wb") as file:
            yield file


def _is_no_file(path: str | os.PathLike[str]) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)


def _unwritten(path: str | os.PathLike[str], problem: OSError, error: type[NSTError]) -> NSTError:
    return error(f"cannot write {path}: {problem.strerror or problem}. Free some space or choose another folder.")


def save_elsewhere(path: str | os.PathLike[str], save: Callable[[Path], object]) -> Path | None:
    """Have `save` write a file that found no room at `path` somewhere else, and return where: in a new folder for temporary
    files, perhaps on another disk, or in one in the home folder. None if there is no room either; then no folder is left."""
    for place in (None, os.path.expanduser("~")):
        try:
            folder = Path(tempfile.mkdtemp(prefix="nst-", dir=place))
        except OSError:
            continue
        spare = folder / Path(path).name
        try:
            save(spare)
        except (NSTError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return spare
    return None


def free_path(name: str | os.PathLike[str], *also: str) -> Path:
    """`name` itself, or with a number, as name-2.png, if there is such a file already, or one with a suffix in `also`."""
    suffixes = (Path(name).suffix, *also)
    return next(path for path in _numbered(name) if not any(path.with_suffix(suffix).exists() for suffix in suffixes))


def beside(output: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Where a file goes that comes with `output` and that nobody has named: to `path`, or to a free name, lest it replace a
    stranger. Where `output` is there already, it is of an earlier run, and so is the last of the names that are taken."""
    if not os.path.exists(output):
        return free_path(path)
    taken = itertools.takewhile(lambda pair: pair[0].exists(), zip(_numbered(path), _numbered(output), strict=True))
    return [Path(path), *(name for name, other in taken if not other.exists())][-1]  # x-2.txt may be x-2.png's


def _numbered(name: str | os.PathLike[str]) -> Iterator[Path]:
    """name.png, name-2.png, name-3.png and so on."""
    path = Path(name)
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))


def as_word(path: str | os.PathLike[str]) -> str:
    """A file's name as a word of a command: ./-me.jpg for -me.jpg, which would be taken for an option."""
    name = os.fspath(path)
    return f"./{name}" if name.startswith("-") else name


def as_text(name: str) -> str:
    """A word of the command line fit for archives and labels: what is no UTF-8 in it becomes an escape such as \\udce9."""
    return name.encode(errors="backslashreplace").decode()


def check_writable(path: str | os.PathLike[str], error: type[NSTError] = NSTError) -> None:
    """Say before the work what would be wrong after it: raise `error` unless a file can be written at `path`."""
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise error(f"cannot write {path}: the folder {folder} does not exist. Make it first, or choose another one.")
    if len(os.fsencode(os.path.basename(path))) > 255:
        raise error(f"cannot write {path}: the name is too long.")
    if os.path.isdir(path):
        raise error(f"cannot write {path}: it is a folder. Give a file name inside it.")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise error(f"cannot write {path}: it is there and read-only. Choose another name, or make it writable.")
    folder = Path(os.path.realpath(path)).parent  # where a link points to
    if not _is_no_file(path) and not os.access(folder, os.W_OK):
        raise error(f"cannot write {path}: the folder {folder} is read-only. Choose another.")


def check_outputs(outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Say before the work what would be wrong after it: raise SettingsError unless each of a command's outputs can be
    written, and is neither one of its inputs nor another output."""
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        check_writable(path, SettingsError)
        if os.path.realpath(path) in taken:
            raise SettingsError(f"cannot write {path}: it is another of this command's files. Choose another name.")
        taken.add(os.path.realpath(path))
