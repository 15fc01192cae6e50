"""Neural style transfer: the losses, the loop and the networks behind the course.

>>> import nst_lib
>>> photograph, painting = nst_lib.load_image("me.jpg"), nst_lib.load_image("wave.jpg")
>>> nst_lib.save_image(nst_lib.stylize(photograph, painting), "me_as_a_wave.png")

Names are imported when first used, so that `import nst_lib` alone does not start the engine.
"""

import importlib
import importlib.metadata
from typing import Any

__version__ = importlib.metadata.version("nst_lib")

_WITHOUT_ENGINE = {
    "errors": (
        "CheckpointError",
        "NSTError",
        "PictureError",
        "SettingsError",
        "StyleError",
        "VideoError",
        "WeightsError",
    ),
    "fast.styles": ("Style", "StyleFile", "load_style", "style_names"),
    "fast.video": ("paint_video",),
    "color": ("keep_colors", "match_colors"),
    "moodboards": ("moodboard", "palette"),
    "images": ("crop_to_fit", "load_image", "resize", "save_image"),
}
_WITH_ENGINE = {
    "backbones": ("CONTENT_LAYER", "STYLE_LAYERS", "Backbone", "load_backbone"),
    "exploration": ("Tile", "Variant", "draw_sheet", "explore", "paint_command"),
    "fast.training": ("train",),
    "losses": ("gram_matrix", "relative_error", "total_variation"),
    "metrics": ("Score", "score"),
    "textures": ("texture",),
    "painting": ("PaintState", "Painting", "paint", "stylize"),
}
_HOME = {name: module for module, names in (_WITHOUT_ENGINE | _WITH_ENGINE).items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nst_lib' has no attribute {name!r}")
    if _HOME[name] in _WITH_ENGINE:
        from nst_lib.engine import start_engine

        start_engine()
    return getattr(importlib.import_module(f"nst_lib.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
