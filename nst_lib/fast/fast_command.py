"""`nst fast`: a thin shell over this package."""

import argparse
import functools
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nst_lib.errors import PictureError, SettingsError, VideoError
from nst_lib.fast.running import ENGINES
from nst_lib.fast.styles import Style, load_style
from nst_lib.fast.video import FORMATS as VIDEO_FORMATS
from nst_lib.fast.video import SUFFIXES, import_package, paint_video
from nst_lib.files import check_outputs
from nst_lib.images import FORMATS, MAX_PIXELS, check_format, load_image, picture_suffixes, save_image
from nst_lib.terminal import noted_signals, progress_bar


def add_to(commands: Any) -> None:
    """Add the command to argparse's."""
    fast = commands.add_parser(
        "fast",
        help="repaint a picture, a folder or a film in a trained style, at once",
        description="Repaint a picture, a film, or all pictures and films of a folder in a trained\nstyle, in one pass each.",
        usage="nst fast INPUT --style STYLE [STYLE ...] [-o OUT] [options]",
        epilog="examples:\n"
        "  nst fast me.jpg --style great_wave\n"
        "  nst fast me.jpg --style great_wave cafe_terrace --shares .7 .3 --strength .8\n"
        "  nst fast holidays/ --style poppies -o painted/\n"
        "  nst fast clip.mp4 --style summertime --size 640 --steady .7\n"
        "  nst fast films/ --style poppies -o painted/ --shard 3/40",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    fast.set_defaults(run=_fast)
    fast.add_argument("input", metavar="INPUT", help="a picture, a film, or a folder of them, without its subfolders")
    add = fast.add_argument
    add("--style", metavar="STYLE", nargs="+", required=True, dest="styles",
        help="a name from `nst styles`, or a file from `nst train` or `nst export`")  # fmt: skip
    add("-o", "--output", metavar="OUT", help="file, or folder, to write (default: INPUT_STYLE, here)")
    add("--shares", metavar="SHARE", nargs="+", type=float, help="how much of each of several styles")
    add("--strength", metavar="S", type=float, default=1.0, help="0, the photograph, to 1 (default: 1)")
    add("--size", metavar="PIXELS", type=int, help="long side (default: the input's)")
    add("--steady", metavar="S", type=float, default=0.5, help="of a film, against flicker: 0 to 1 (default: 0.5)")
    add(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="(default: auto: for pictures ONNX Runtime, for films OpenVINO, on the processor; keras is for GPUs)",
    )
    add("--shard", metavar="I/N", type=_shard, help="of a folder, the I-th of N equal shares: for job arrays")
    add(
        "--max-pixels",
        metavar="N",
        type=int,
        default=MAX_PIXELS,
        help=f"refuse larger pictures (default: {MAX_PIXELS})",
    )


def _fast(options: argparse.Namespace) -> int:
    source = Path(options.input)
    began = time.perf_counter()
    is_film = source.suffix.lower() in SUFFIXES and not source.is_dir()
    load = functools.cache(lambda film: load_style(options.styles, options.shares, options.engine, frames=film))
    style = load(is_film)
    loaded = time.perf_counter()
    suffix = "" if source.is_dir() else ".png"
    if is_film:
        suffix = source.suffix if source.suffix.lower() in VIDEO_FORMATS else ".mp4"
    named = source.resolve() if source.name in ("", "..") else source  # "." has no name of its own
    name = named.name if source.is_dir() else named.stem
    output = Path(options.output or f"{name}_{'_'.join(style.shares)}{suffix}".replace(" ", "_"))
    if source.is_dir():
        return _fast_folder(options, load, source, output)
    if options.shard:
        raise SettingsError(f"--shard is for folders, and {source} is none. Leave it out.")
    check_outputs([output], [source, *options.styles])
    if is_film:
        if options.max_pixels != MAX_PIXELS:
            raise SettingsError(f"--max-pixels is for pictures, and {source} is a film. Leave it out.")
        return _fast_video(options, style, source, output)
    check_format(output)
    picture = load_image(source, options.size, max_pixels=options.max_pixels)
    read = time.perf_counter()
    pastiche = style(picture, options.strength)
    painted = time.perf_counter()
    del picture  # a large one, or its copies while it is encoded, would not fit beside it
    save_image(pastiche, output)
    print(f"{output}: {pastiche.shape[1]} x {pastiche.shape[0]}, painted in {painted - read:.2f} s; "
          f"{loaded - began:.2f} s to load the style, {time.perf_counter() - began:.2f} s in all")  # fmt: skip
    return 0


def _fast_folder(options: argparse.Namespace, load: Callable[[bool], Style], source: Path, output: Path) -> int:
    known = {*picture_suffixes(), *SUFFIXES}
    files = sorted(path for path in source.iterdir() if path.suffix.lower() in known and path.is_file())
    if not files:
        raise PictureError(f"{source} has no pictures. Give a folder that has.")
    if output.exists() and not output.is_dir():
        raise SettingsError(f"cannot write {output}: it is a file, and the input is a folder. Choose another name.")
    if output.resolve() == source.resolve():
        raise SettingsError(f"cannot write into {output}: it is the input. Choose another folder.")
    share, shares = options.shard or (1, 1)
    what, names = _count(files), _names(files)  # of all shares, as they fill one folder
    files = files[share - 1 :: shares]  # not one after the other: neighbours are often alike in length
    if any(path.suffix.lower() in SUFFIXES for path in files):  # not only when the first film's turn comes
        import_package("av", "av")
        if options.steady:
            import_package("cv2", "opencv-python-headless")
    if not files:
        print(f"{output}: nothing to do for share {share} of {shares}: {source} has {what}")
        return 0
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"cannot make the folder {output}: {problem.strerror}. Choose another.") from problem
    done, began = list[Path](), time.perf_counter()
    with noted_signals("this file") as signals, progress_bar("") as bar:
        for i, path in enumerate(files):
            bar.set_description_str(path.name)
            try:
                _fast_file(options, load, path, output / names[path], bar, signals)
                done.append(path)
            except (PictureError, VideoError) as problem:
                bar.write(f"nst: left out: {problem}", file=sys.stderr)
            except KeyboardInterrupt:
                break
            bar.update(round(1000 * (i + 1) / len(files)) - bar.n)
            if signals:
                break
    painted = _count(files) if len(done) == len(files) else f"{len(done)} of {_count(files)}"
    of_all = f" (share {share} of {shares})" if options.shard else ""
    print(f"{output}: {painted} in {time.perf_counter() - began:.1f} s{of_all}")
    if not done and not signals:
        raise PictureError(f"none of the {_count(files)} in {source} could be painted.")
    return 128 + signals[0] if signals else int(len(done) < len(files))


def _fast_file(
    options: argparse.Namespace, load: Callable[[bool], Style], path: Path, output: Path, bar: Any, signals: list[int]
) -> None:
    """Paint a picture or a film of a folder. Raises KeyboardInterrupt within a film, of which nothing is left then."""

    def show(frame: int, frames: int) -> None:
        bar.set_description_str(f"{path.name}, frame {frame}{f' of {frames}' if frames else ''}", refresh=False)
        bar.update(0)
        if signals:
            raise KeyboardInterrupt

    film = path.suffix.lower() in SUFFIXES
    style = load(film)
    if not film:
        picture = load_image(path, options.size, max_pixels=options.max_pixels)
        save_image(style(picture, options.strength), output)
        return
    report = paint_video(path, output, style, size=options.size, strength=options.strength, steady=options.steady,
                         on_frame=show)  # fmt: skip
    if report.damage:
        bar.write(f"nst: {path}: {report.damage}.", file=sys.stderr)


def _names(files: list[Path]) -> dict[Path, str]:
    """The name that each file's result has: its own if such a file can be written, or else with a suffix added, as `a.jpg`
    may be there beside `a.gif`; and with a number where that is taken by another."""
    names = {path: path.name for path in files if path.suffix.lower() in (*FORMATS, *VIDEO_FORMATS)}
    taken = set(names.values())
    for path in [path for path in files if path not in names]:
        usual = ".mp4" if path.suffix.lower() in SUFFIXES else ".png"
        numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        names[path] = next(name for number in numbers if (name := f"{path.name}{number}{usual}") not in taken)
        taken.add(names[path])
    return names


def _count(files: list[Path]) -> str:
    """How many files, of which kinds: "1 picture", "3 pictures and films"."""
    films = sum(path.suffix.lower() in SUFFIXES for path in files)
    kinds = [kind for kind, number in (("picture", len(files) - films), ("film", films)) if number]
    return f"{len(files)} {' and '.join(kind + 's' * (len(files) != 1) for kind in kinds)}"


def _shard(text: str) -> tuple[int, int]:
    share, _, shares = text.partition("/")
    if not (share.isdecimal() and shares.isdecimal() and 1 <= int(share) <= int(shares)):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N, as 3/40")
    return int(share), int(shares)


def _fast_video(options: argparse.Namespace, style: Style, source: Path, output: Path) -> int:
    began, of_all = time.perf_counter(), ""

    def show(frame: int, frames: int) -> None:
        nonlocal of_all
        of_all = f" of {frames}" if frames else ""
        rate = frame / (time.perf_counter() - began)
        bar.set_description_str(f"frame {frame}{of_all}, {rate:.1f} a second", refresh=False)
        bar.update(round(1000 * frame / max(frames, frame)) - bar.n if frames else 0)

    with noted_signals("this frame") as signals, progress_bar("opening the film") as bar:
        report = paint_video(source, output, style, size=options.size, strength=options.strength, steady=options.steady,
                             on_frame=show, should_stop=lambda: signals)  # fmt: skip
    seconds = time.perf_counter() - began
    if report.damage:
        print(f"nst: {source}: {report.damage}.", file=sys.stderr)
    if signals:
        print(f"nst: stopped after {report.frames}{of_all} frames; {output} holds those.", file=sys.stderr)
        return 128 + signals[0]
    sound = "with its sound" if report.sound else "no sound"
    print(f"{output}: {report.size[1]} x {report.size[0]}, {report.frames} frames, {sound}, {seconds:.1f} s "
          f"({report.frames / seconds:.1f} frames a second)")  # fmt: skip
    return 0
