"""`nst texture`, `nst explore` and `nst moodboard`: a thin shell over the library."""

import argparse
import shlex
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from nst_lib.engine import start_engine
from nst_lib.errors import PictureError, SettingsError
from nst_lib.files import as_text, atomic_write, beside, check_outputs
from nst_lib.images import check_format, load_image, picture_suffixes, save_image
from nst_lib.terminal import noted_signals, paint_to_file, progress_bar


def add_to(commands: Any) -> None:
    """Add the commands to argparse's."""
    _add_texture(commands)
    _add_explore(commands)
    _add_moodboard(commands)


def _add_texture(commands: Any) -> None:
    texture = commands.add_parser(
        "texture",
        help="grow a texture from a painting, as a tile without seams",
        description="Grow a texture from a painting: a tile whose copies fit together, and a preview of 3 x 3 of them.",
    )
    texture.set_defaults(run=_texture)
    texture.add_argument("styles", metavar="STYLE", nargs="+", help="the painting, or several to blend")
    add = texture.add_argument
    add("-o", "--output", metavar="OUT", help="file to write (default: STYLE_texture.png, here)")
    add("--size", metavar="PIXELS", type=int, default=512, help="its side (default: 512)")
    add("--guide", metavar="FILE", help="a picture whose light and dark the texture follows")
    add("--no-tile", dest="tileable", action="store_false", help="let it have edges, and draw no preview")
    add("--steps", metavar="N", type=int, help="budget: evaluations of the loss (default: 70)")
    add("--seed", metavar="N", type=int, default=0, help="of the noise it grows from (default: 0)")


def _add_explore(commands: Any) -> None:
    explore = commands.add_parser(
        "explore",
        help="paint a photograph in many ways, small, on one sheet",
        description="Paint a photograph in many ways, small, on one sheet: every combination of the\n"
        "values given. For each tile, print the `nst paint` command that paints it large.\n"
        "Without --style-weight, --style-scale, --layers and --seed: what differs most.",
        usage="nst explore CONTENT STYLE [STYLE ...] [-o OUT] [options]",
        epilog="examples:\n"
        "  nst explore me.jpg wave.jpg\n"
        "  nst explore me.jpg wave.jpg poppies.jpg cafe.jpg --style-weight .3 1 3\n"
        "  nst explore me.jpg wave.jpg --seed 1 2 3 --style-scale 1 2 --style-weight .3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    explore.set_defaults(run=_explore)
    explore.add_argument("content", metavar="CONTENT", help="the photograph")
    explore.add_argument("styles", metavar="STYLE", nargs="+", help="the painting, or several to try")
    add = explore.add_argument
    add("-o", "--output", metavar="OUT", help="picture to write, with a .txt beside it (default: CONTENT_explored.png)")
    add("--style-weight", metavar="W", nargs="+", type=float, dest="style_weights",
        help="how much the painting counts")  # fmt: skip
    add("--style-scale", metavar="S", nargs="+", type=float, dest="style_scales",
        help="the painting's size over the picture's")  # fmt: skip
    add("--layers", metavar="WHICH", nargs="+",
        help="of the style: all, fine (colours, small strokes), coarse (larger shapes)")  # fmt: skip
    add("--seed", metavar="N", nargs="+", type=int, dest="seeds", help="start from this noise, not from the photograph")
    add("--size", metavar="PIXELS", type=int, default=256, help="long side of a tile (default: 256)")
    add("--steps", metavar="N", type=int, default=25, help="evaluations of the loss for a tile (default: 25)")


def _add_moodboard(commands: Any) -> None:
    moodboard = commands.add_parser(
        "moodboard",
        help="lay out pictures and their palettes on a page",
        description="Lay out pictures, each with its palette, and the palette of them all, on one page: PNG and PDF.",
        epilog="example: nst moodboard paintings/ me.jpg --title 'Autumn' -o board.pdf",
    )
    moodboard.set_defaults(run=_moodboard)
    moodboard.add_argument("pictures", metavar="PICTURE", nargs="+", help="a picture, or a folder of pictures")
    add = moodboard.add_argument
    add("-o", "--output", metavar="BOARD", default="moodboard.png",
        help="file to write, .png or .pdf; the other is written beside it (default: moodboard.png)")  # fmt: skip
    add("--title", metavar="TEXT", default="", help="a line at the top")
    add("--columns", metavar="N", type=int, help="pictures in a row (default: what fills the page best)")
    add("--font", metavar="NAME", help="of all text (default: matplotlib's)")


def _texture(options: argparse.Namespace) -> int:
    output = Path(options.output or f"{Path(options.styles[0]).stem}_texture.png")
    preview = beside(output, output.with_stem(f"{output.stem}_3x3"))
    check_format(output)
    check_outputs((output, preview), filter(None, (*options.styles, options.guide)))
    styles = [load_image(style) for style in options.styles]
    guide = load_image(options.guide, options.size) if options.guide else None
    with progress_bar("starting the engine"):
        start_engine()
        from nst_lib.textures import recut, repeated, seam, texture
    painting = texture(
        styles, options.size, tileable=options.tileable, guide=guide, seed=options.seed, steps=options.steps
    )
    stopped_by, _ = paint_to_file(painting, output)
    if stopped_by:
        print(f"nst: stopped at step {painting.step_count}. The texture so far is {output}.", file=sys.stderr)
        return 128 + stopped_by
    tile = painting.picture
    height, width = tile.shape[:2]
    print(f"{output}: {width} x {height}, {painting.timing.optimize:.1f} s of optimisation")
    if options.tileable:
        down, across = seam(tile)  # before the file is made to begin elsewhere, where any seam would lie inside
        if guide is None:  # which the texture lies over
            tile = recut(tile)
            save_image(tile, output)
        save_image(repeated(tile), preview)
        print(
            f"{preview}: 3 x 3 of it; the steps across its edges were painted at percentiles {down:.0f} and {across:.0f} "
            "of those within"
        )
    return 0


def _explore(options: argparse.Namespace) -> int:
    output = Path(options.output or f"{Path(options.content).stem}_explored.png")
    text = beside(output, output.with_suffix(".txt"))
    check_format(output)
    check_outputs((output, text), (options.content, *options.styles))
    content, *paintings = (load_image(path) for path in (options.content, *options.styles))
    began = time.perf_counter()
    with progress_bar("starting the engine"):
        start_engine()
        from nst_lib.exploration import AXES, draw_sheet, explore, paint_command

    def show(step: int, steps: int) -> None:
        left = (time.perf_counter() - painting_began) / step * (steps - step)
        tile, of = (step - 1) // options.steps + 1, steps // options.steps
        bar.set_description_str(f"tile {tile}/{of}, step {step}/{steps}, {left:.0f} s left", refresh=False)
        bar.update(round(1000 * step / steps) - bar.n)

    painting_began = time.perf_counter()
    with noted_signals() as signals, progress_bar("measuring the pictures, compiling") as bar:
        tiles = explore(content, paintings, style_weights=options.style_weights, style_scales=options.style_scales,
                        layers=options.layers, seeds=options.seeds, size=options.size, steps=options.steps,
                        progress=False, on_step=show, should_stop=lambda: signals)  # fmt: skip
    painted = [tile for tile in tiles if tile.picture is not None]
    if not painted:
        print("nst: stopped before the first tile was painted. Nothing was written.", file=sys.stderr)
        return 128 + signals[0]
    subject, *names = (as_text(Path(path).stem).replace("_", " ") for path in (options.content, *options.styles))
    save_image(draw_sheet(tiles, f"{subject} · {names[0]}" if len(names) == 1 else subject, names), output)
    lines = []
    for tile in painted:
        large = output.with_name(f"{output.stem}_{tile.number}.png")
        words = paint_command(
            tile.variant, options.content, options.styles, large, size=options.size, steps=options.steps
        )
        axes = AXES if len(names) > 1 else AXES[1:]
        lines += [f"# {tile.number}: {', '.join(tile.variant.describe(axes, names))}", shlex.join(words)]
    with atomic_write(text, SettingsError) as file:
        file.write(("\n".join(lines) + "\n").encode(errors="surrogateescape"))  # names as the system has them
    print("\n".join(lines))
    lost = [tile for tile in tiles if tile.problem]
    for tile in lost:
        print(f"nst: tile {tile.number} is empty: {tile.problem}", file=sys.stderr)
    if signals:
        left = f"{len(painted)} of {len(tiles)} tiles"
        print(f"nst: stopped after {left}. The sheet so far is {output}, the commands {text}.", file=sys.stderr)
        return 128 + signals[0]
    taken = time.perf_counter() - began
    print(f"{output}: {len(painted)} of {len(tiles)} tiles in {taken:.1f} s; the commands above are in {text}")
    return 1 if lost else 0


def _moodboard(options: argparse.Namespace) -> int:
    from nst_lib.moodboards import board_paths, check_count, load_for_board, missing_letters, moodboard

    named = [Path(given) for given in options.pictures]
    paths = [path for given in named for path in _pictures_of(given)]
    check_outputs(board_paths(options.output), paths)
    check_count(len(paths))
    with progress_bar("reading the pictures") as bar:
        pictures = []
        for number, path in enumerate(paths, start=1):
            try:
                pictures.append(load_for_board(path, len(paths)))
            except PictureError as problem:
                if path in named:
                    raise
                bar.write(f"nst: left out: {problem}", file=sys.stderr)
            bar.update(round(1000 * number / len(paths)) - bar.n)
    if not pictures:
        raise PictureError(f"none of the {len(paths)} pictures can be read.")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # matplotlib's, which come next in words
        png, pdf = moodboard(pictures, options.output, title=options.title, columns=options.columns, font=options.font)
    if missing := missing_letters(options.title, options.font):
        print(f"nst: no letters for {missing} in the font: give one that has them, with --font.", file=sys.stderr)
    print(f"{png} and {pdf}: {len(pictures)} {'picture' if len(pictures) == 1 else 'pictures'}, with their colours")
    return int(len(pictures) < len(paths))


def _pictures_of(path: Path) -> list[Path]:
    """A picture's own path, or those of all pictures in a folder."""
    if not path.is_dir():
        return [path]
    known = picture_suffixes()
    found = sorted(inside for inside in path.iterdir() if inside.suffix.lower() in known and inside.is_file())
    if not found:
        raise PictureError(f"{path} has no pictures. Give a folder that has.")
    return found
