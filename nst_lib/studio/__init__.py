"""The studio: panels for notebooks, each one call, that need ipywidgets (the extra `course`)."""

import importlib
from typing import Any

_WITH_ENGINE = {
    "layer_explorer": "layers",
    "style_studio": "style",
}
_WITHOUT_ENGINE = {
    "fast_studio": "fast",
    "mask_painter": "masks",
    "moodboard_studio": "boards",
    "webcam_studio": "webcam",
}
_HOME = _WITH_ENGINE | _WITHOUT_ENGINE
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nst_lib.studio' has no attribute {name!r}")
    if name in _WITH_ENGINE:
        from nst_lib.engine import start_engine

        start_engine()
    return getattr(importlib.import_module(f"nst_lib.studio.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
