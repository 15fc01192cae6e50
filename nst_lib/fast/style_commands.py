"""`nst styles` and `nst export`: a thin shell over this package."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from nst_lib.errors import SettingsError, StyleError
from nst_lib.fast.running import Runner
from nst_lib.fast.styles import SHIPPED_FILE, Style, StyleFile, load_file, load_style
from nst_lib.files import as_word, check_outputs
from nst_lib.images import check_format, crop_to_fit, load_image, save_image, to_pil
from nst_lib.terminal import picture_in_text

TILE, TILE_PAINTED = 128, 256  # pixels: the side of a picture on the sheet, and the long side at which it is painted


def add_to(commands: Any) -> None:
    """Add the commands to argparse's."""
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
