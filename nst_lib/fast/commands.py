"""`nst fast`, `nst train`, `nst styles` and `nst export`: a thin shell over this package."""

import argparse
import functools
import itertools
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from nst_lib.engine import start_engine
from nst_lib.errors import PictureError, SettingsError, StyleError, VideoError
from nst_lib.fast.devices import DEVICES, joined, plan_meeting
from nst_lib.fast.running import ENGINES, Runner
from nst_lib.fast.styles import SHIPPED_FILE, Style, StyleFile, load_file, load_style, shipped_styles
from nst_lib.fast.video import FORMATS as VIDEO_FORMATS
from nst_lib.fast.video import SUFFIXES, import_package, paint_video
from nst_lib.files import as_text, as_word, beside, check_outputs, check_writable, save_elsewhere
from nst_lib.images import (
    FORMATS,
    MAX_PIXELS,
    check_format,
    crop_to_fit,
    load_image,
    picture_suffixes,
    save_image,
    to_pil,
)
from nst_lib.terminal import noted_signals, picture_in_text, progress_bar

TILE, TILE_PAINTED = 128, 256  # pixels: the side of a picture on the sheet, and the long side at which it is painted


def add_to(commands: Any) -> None:
    """Add the commands to argparse's."""
    _add_fast(commands)
    _add_train(commands)
    styles = commands.add_parser("styles", help="list trained styles", description=_styles.__doc__)
    styles.set_defaults(run=_styles)
    styles.add_argument(
        "files", metavar="FILE", nargs="*", help="style files, or folders of them (default: the shipped one)"
    )
    styles.add_argument("-o", "--output", metavar="OUT", help="also draw the paintings on a sheet, a picture file")
    styles.add_argument("--on", metavar="PICTURE", nargs="+", default=[], help="... and these pictures in each style")

    export = commands.add_parser(
        "export",
        help="write a style, or a blend, for other programs",
        description="Write a style, or a blend, as one ONNX file. `nst fast --style FILE.onnx` runs it, too.",
    )
    export.set_defaults(run=_export)
    export.add_argument("styles", metavar="STYLE", nargs="+", help="a name from `nst styles`, or a style file")
    export.add_argument("--shares", metavar="SHARE", nargs="+", type=float, help="how much of each of several")
    export.add_argument("--format", choices=("onnx",), default="onnx", help="(default: onnx)")
    export.add_argument("-o", "--output", metavar="OUT", help="file to write (default: STYLE.onnx, here)")


def _add_fast(commands: Any) -> None:
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


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a style network on your photographs",
        description="Train a network to paint in the manner of a painting, or of each of several,\nin one pass.",
        usage="nst train STYLE [STYLE ...] --photos DIR [-o OUT]\n                 [--minutes M | --steps N] [options]",
        epilog="examples:\n"
        "  nst train wave.jpg --photos holidays/\n"
        "  nst train wave.jpg --photos holidays/ --vector-only --minutes 5\n"
        "  nst train wave.jpg cafe.jpg --photos holidays/ --minutes 60 -o mine.npz\n"
        "  KERAS_BACKEND=jax nst train wave.jpg --photos holidays/ --devices all\n"
        "Several GPUs, several machines: see docs/scaling.md.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.set_defaults(run=_train)
    train.add_argument("paintings", metavar="STYLE", nargs="+", help="pictures of the paintings")
    add = train.add_argument
    add(
        "--photos",
        metavar="DIR",
        required=True,
        help="a folder of photographs and subfolders, some hundred at best, 2000 at most",
    )
    add("-o", "--output", "--out", metavar="OUT", help="style file to write (default: STYLE.npz, here)")
    budget = train.add_mutually_exclusive_group().add_argument
    budget("--minutes", metavar="M", type=float, help="budget (default: 15)")
    budget("--steps", metavar="N", type=int,
        help="budget: batches of photographs, rounded up to whole epochs: of 20, or 200 on a GPU")  # fmt: skip
    add("--from", metavar="FILE", dest="start", default="shipped",
        help="set out from a style file's network (default: shipped), or from `nothing`")  # fmt: skip
    add(
        "--vector-only",
        action="store_true",
        help="leave that network as it is: quick, and the style blends with its own",
    )
    add(
        "--style-weight",
        metavar="W",
        type=float,
        help="how much the painting counts (default: 0.1; from `nothing` 0.12)",
    )
    add("--tv-weight", metavar="W", type=float, help="how much smoothness counts (default: 0.3)")
    add("--backbone", choices=("pocket", "vgg16", "vgg19"), help="the judge (default: $NST_BACKBONE, or pocket)")
    add("--weights", metavar="FILE", help="its weights, if not in the usual place")
    add("--learning-rate", metavar="R", type=float, help="of Adam, at its peak")
    add("--batch", metavar="N", type=int, help="photographs in a step (default: 4)")
    add("--crop", metavar="PIXELS", type=int,
        help="side of the cuts that it sees: larger ones, as 256, are slower and look better (default: 176)")  # fmt: skip
    add("--seed", metavar="N", type=int, help="of kernels and photographs (default: 0)")
    add("--resume", action="store_true", help="go on from the checkpoint that a stopped training left")
    add("--tensorboard", metavar="DIR", help="write logs there, for TensorBoard (pip install tensorboard)")
    add = train.add_argument_group("several devices, on JAX").add_argument
    add("--devices", choices=DEVICES, default="one", help="all: share each batch among all GPUs (default: one)")
    add("--coordinator", metavar="HOST:PORT",
        help="train with other machines: the first one's address (default: $KERAS_DISTRIBUTION_JOB_ADDRESSES)")  # fmt: skip
    add("--processes", metavar="N", type=int, help="how many machines, with the same command on each")
    add("--process-id", metavar="I", type=int, help="which of them this is: the first is 0, and writes the files")


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


def _train(options: argparse.Namespace) -> int:
    names = [as_text(Path(path).stem) for path in options.paintings]
    if len(set(names)) < len(names):
        raise SettingsError(
            f"the paintings' file names are the styles' names: {', '.join(names)} are not all different."
        )
    output = Path(options.output or f"{Path(options.paintings[0]).stem}.npz")
    if output.suffix != ".npz":
        raise SettingsError(f"cannot write {output}: a style file's name ends in .npz.")
    checkpoint, samples = (output.with_suffix(suffix) for suffix in (".training.npz", ".samples.png"))
    samples = beside(checkpoint if options.resume else output, samples)
    meeting = plan_meeting(options.coordinator, options.processes, options.process_id)
    first = meeting is None or meeting.process_id == 0
    if first:
        check_outputs((output, samples), filter(None, [*options.paintings, options.start, options.weights]))
        check_writable(checkpoint, SettingsError)
        if checkpoint.exists() and not options.resume:
            raise SettingsError(
                f"{checkpoint} is a training that was not finished. Go on with --resume, delete it, or give another -o."
            )
    paintings = {name: load_image(path) for name, path in zip(names, options.paintings, strict=True)}
    start = None
    if options.start != "nothing":
        start = shipped_styles() if options.start == "shipped" else StyleFile.load(options.start)
    given = ("minutes", "steps", "style_weight", "tv_weight", "backbone", "weights", "learning_rate", "batch", "crop",
             "seed")  # fmt: skip
    settings = {name: value for name in given if (value := getattr(options, name)) is not None}
    with joined(meeting):
        with progress_bar("starting the engine"):
            start_engine()
            from nst_lib.fast.training import train

        company = f", worker {meeting.process_id} of {meeting.processes}" if meeting else ""
        print(f"{len(names)} {'style' if len(names) == 1 else 'styles'}, on {options.photos}{company}", flush=True)
        with noted_signals("this epoch") as signals:
            trained = train(paintings, options.photos, start=start, vector_only=options.vector_only,
                            checkpoint=checkpoint, resume=options.resume, samples=samples,
                            tensorboard=options.tensorboard, should_stop=lambda: signals, devices=options.devices,
                            **settings)  # fmt: skip
    if trained is None:
        command, *rest = options.arguments
        again = [
            "nst",
            command,
            *([] if options.resume else ["--resume"]),
            *rest,
        ]  # not at the end: there may be a `--`
        print(f"nst: stopped. Go on with\n  {shlex.join(again)}", file=sys.stderr)
        return 128 + (signals or [signal.SIGTERM])[0]  # another worker's signal counts as one
    if not first:
        return 0
    try:
        trained.save(output)
    except StyleError as problem:  # a full disk, say
        spare = save_elsewhere(output, trained.save)
        where = f"is {spare} instead" if spare else "could not be kept"
        raise StyleError(f"{problem} The style file {where}; the checkpoint is kept.") from problem
    checkpoint.unlink(missing_ok=True)
    print(f"{output}: {', '.join(names)}; {trained.about['pictures']} pictures in {trained.about['seconds']} s. "
          f"Samples are in {samples}. Try: nst fast PICTURE --style {shlex.quote(as_word(output))}")  # fmt: skip
    return 0


def _styles(options: argparse.Namespace) -> int:
    """List trained styles, with a piece of each painting where the terminal has colours and the file has one."""
    files = [load_file(path) for path in _style_files(options.files)] or [load_file(SHIPPED_FILE)]
    if options.on and not options.output:
        raise SettingsError("--on paints on a sheet: give its file with -o.")
    if options.output:
        check_outputs([options.output], [*options.on, *options.files])
        check_format(options.output)
    pictures = [load_image(path, TILE_PAINTED) for path in options.on]
    for file, _ in files:
        for name in file.styles:
            if name in file.thumbnails and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
                print(picture_in_text(np.asarray(Image.fromarray(file.thumbnails[name]).resize((24, 24)))))
            print(name)
    if options.output:
        save_image(_sheet(files, pictures), options.output)
        print(f"\n{options.output}: {'the paintings, and the pictures in each style' if pictures else 'the paintings'}")
    return 0


def _style_files(given: list[str]) -> list[Path]:
    """The style files that are given, and those in folders."""
    files: list[Path] = []
    for path in map(Path, given):
        inside = (
            sorted(file for file in path.glob("*") if file.suffix in (".npz", ".onnx")) if path.is_dir() else [path]
        )
        if not inside:
            raise StyleError(f"{path} has no style files. `nst train` and `nst export` make such files.")
        files += inside
    return files


def _sheet(files: list[tuple[StyleFile, Callable[[], Runner]]], pictures: list[np.ndarray]) -> np.ndarray:
    """The paintings with their names, and below them every picture in every style."""
    known = [(name, file.thumbnails.get(name)) for file, _ in files for name in file.styles]
    styles = []
    for file, make_run in files if pictures else ():
        run = make_run()
        styles += [Style(file, {name: 1.0}, run) for name in file.styles]
    left = TILE if pictures else 0
    size = (left + len(known) * TILE, TILE + 20 + len(pictures) * TILE)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, thumbnail) in enumerate(known):
        x = left + column * TILE
        if thumbnail is not None:  # an exported style has none
            sheet.paste(Image.fromarray(thumbnail).resize((TILE, TILE), Image.Resampling.LANCZOS), (x, 20))
        draw.text((x + TILE / 2, 3), name, fill="black", anchor="ma", font_size=13)
    for row, picture in enumerate(pictures):
        for column, painted in enumerate([picture, *(style(picture) for style in styles)]):
            tile = to_pil(crop_to_fit(painted, TILE, TILE))
            sheet.paste(tile, (column * TILE, 20 + (row + 1) * TILE))
    return np.asarray(sheet) / np.float32(255)


def _export(options: argparse.Namespace) -> int:
    from nst_lib.fast.exporting import export_onnx

    style = load_style(options.styles, options.shares)
    output = Path(options.output or f"{'_'.join(style.shares)}.{options.format}".replace(" ", "_"))
    if output.suffix != ".onnx":
        raise SettingsError(f"cannot write {output}: an ONNX file's name ends in .onnx.")
    check_outputs([output], options.styles)
    export_onnx(style, output)
    print(f"{output}: {output.stat().st_size:,} bytes. Try: nst fast PICTURE --style {shlex.quote(as_word(output))}")
    return 0
