"""The command and the Python call that paint from the start what a panel shows, to be copied."""

import shlex
from collections.abc import Mapping
from typing import Any

from nst_lib.files import as_word

# What `Painting` takes by default; not asked there, as importing it starts the engine, which `fast_recipes` does not need.
DEFAULTS = {"size": 256, "steps": 100, "content_weight": 1.0, "style_weight": 1.0, "tv_weight": 0.5,
            "style_layer_weights": {}, "style_scale": 1.0, "color": "style", "init": "content"}  # fmt: skip


def paint_recipes(content: str, style: str, settings: Mapping[str, Any], output: str) -> tuple[str, str]:
    """The command `nst paint`, and the call of `stylize`, that paint one file in the manner of another.

    Args:
        content, style, output: the files.
        settings: as `Painting` takes them. Those at their defaults are left out, but for the size in the call, which also
            says how large the photograph is read.
    """
    layers = {layer: weight for layer, weight in settings["style_layer_weights"].items() if weight != 1}
    wanted = {**settings, "style_layer_weights": layers}
    changed = {name: _plain(value) for name, value in wanted.items() if value != DEFAULTS.get(name)}
    words = ["nst", "paint", as_word(content), as_word(style)]
    for name, value in changed.items():
        pairs = [f"{layer}={weight}" for layer, weight in value.items()] if isinstance(value, dict) else [str(value)]
        words += [f"--{name.replace('_', '-')}", *pairs]
    size = settings["size"]
    arguments = "".join(f"    {name}={value!r},\n" for name, value in {"size": size, **changed}.items())
    call = (
        "picture = nst_lib.stylize(\n"
        f"    nst_lib.load_image({content!r}, {size}),\n"
        f"    nst_lib.load_image({style!r}),\n"
        f"{arguments})\n"
        f"nst_lib.save_image(picture, {output!r})"
    )
    return shlex.join([*words, "-o", as_word(output)]), call


def fast_recipes(
    photograph: str, styles: Mapping[str, float], strength: float, file: str | None, output: str
) -> tuple[str, str]:
    """The command `nst fast`, and the calls, that paint a file in a blend of `styles`: knobs by name, which both scale to
    shares that sum to 1. The styles are those of the style `file`, or shipped ones."""
    names = [name if file is None else f"{file}:{name}" for name in styles]
    shares = list(styles.values())
    several, weaker = len(names) > 1, strength < 1
    words = ["nst", "fast", as_word(photograph), "--style", *map(as_word, names)]
    words += ["--shares", *map(str, shares)] if several else []
    words += ["--strength", str(strength)] if weaker else []
    call = (
        "import nst_lib\n\n"
        f"style = nst_lib.load_style({f'{names}, {shares}' if several else repr(names[0])})\n"
        f"photograph = nst_lib.load_image({photograph!r})\n"
        f"nst_lib.save_image(style(photograph{f', {strength}' if weaker else ''}), {output!r})"
    )
    return shlex.join([*words, "-o", as_word(output)]), call


def _plain(value: Any) -> Any:
    """Numbers as one would type them: 3 rather than 3.0."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
