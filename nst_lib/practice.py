"""`nst texture`: a thin shell over the library."""

import argparse
import sys
from pathlib import Path
from typing import Any

from nst_lib.engine import start_engine
from nst_lib.errors import SettingsError
from nst_lib.files import check_writable
from nst_lib.images import check_format, load_image, save_image
from nst_lib.terminal import paint_to_file, progress_bar


def add_to(commands: Any) -> None:
    """Add the commands to argparse's."""
    _add_texture(commands)


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
    add("--steps", metavar="N", type=int, help="budget: evaluations of the loss (default: 100)")
    add("--seed", metavar="N", type=int, default=0, help="of the noise it grows from (default: 0)")


def _texture(options: argparse.Namespace) -> int:
    output = Path(options.output or f"{Path(options.styles[0]).stem}_texture.png")
    checkpoint, preview = output.parent / f"{output.stem}.checkpoint.npz", output.with_stem(f"{output.stem}_3x3")
    check_format(output)
    for path in (output, checkpoint, preview):
        check_writable(path, SettingsError)
    styles = [load_image(style, options.size) for style in options.styles]
    guide = load_image(options.guide, options.size) if options.guide else None
    with progress_bar("starting the engine"):
        start_engine()
        from nst_lib.textures import repeated, seam, texture
    painting = texture(
        styles, options.size, tileable=options.tileable, guide=guide, seed=options.seed, steps=options.steps
    )
    stopped_by, _ = paint_to_file(painting, output, checkpoint)
    if stopped_by:
        checkpoint.unlink(missing_ok=True)
        print(f"nst: stopped at step {painting.step_count}. The texture so far is {output}.", file=sys.stderr)
        return 128 + stopped_by
    tile = painting.picture
    height, width = tile.shape[:2]
    print(f"{output}: {width} x {height}, {painting.timing.optimize:.1f} s of optimisation")
    if options.tileable:
        save_image(repeated(tile), preview)
        down, across = seam(tile)
        print(
            f"{preview}: 3 x 3 of it; the seams' steps are at percentiles {down:.0f} and {across:.0f} of those within"
        )
    return 0
