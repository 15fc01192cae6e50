"""`mask_painter`: a mask painted over a picture with the mouse, for `Painting(masks=...)`."""

import io
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image

from nst_lib.errors import NSTError, PictureError
from nst_lib.files import free_path
from nst_lib.images import resize, save_image
from nst_lib.masks import fit_mask
from nst_lib.studio.controls import encode
from nst_lib.studio.panels import Panel, output_folder
from nst_lib.studio.sources import find_source

HERE = Path(__file__).parent
LARGEST = 1024  # pixels: the long side on the screen; the mask of a larger picture is enlarged


class Canvas(anywidget.AnyWidget):
    """The picture, and the mask above it; see masks.js.

    Attributes:
        picture: the bytes of its JPEG, of `width` x `height`.
        data: the bytes of the mask's PNG, whose opacity is the mask.
    """

    _esm = (HERE / "masks.js").read_text(encoding="utf-8")  # see `Control`
    _css = (HERE / "masks.css").read_text(encoding="utf-8")
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    data = traitlets.CBytes().tag(sync=True)  # it comes as a memoryview


class MaskPainter(Panel):
    """A mask over a picture; made by `mask_painter`.

    Attributes:
        canvas: a Canvas.
    """

    def __init__(self, picture: np.ndarray, mask: np.ndarray | None):
        super().__init__()
        self._shape = picture.shape[:2]
        small = resize(picture, LARGEST) if max(self._shape) > LARGEST else picture
        self.canvas = Canvas(width=small.shape[1], height=small.shape[0], picture=encode(small))
        self.mask = np.zeros(self._shape, "float32") if mask is None else mask
        self._save_button = widgets.Button(description="Save mask", tooltip="as a picture, white on black")
        self.children = [self.canvas, self._save_button, self.message]
        self._save_button.on_click(lambda _: self.save())
        self.canvas.observe(lambda _: self.say(""), "data")

    @property
    def mask(self) -> np.ndarray:
        """The mask, float32 (height, width) of the picture's size, in [0, 1]. One that is assigned is shown.

        Raises:
            PictureError: when one is assigned that is no mask, or has another size than the picture.
        """
        with Image.open(io.BytesIO(self.canvas.data)) as image:
            mask = np.asarray(image.getchannel("A"), "float32") / 255
        return mask if mask.shape == self._shape else fit_mask(mask, *self._shape)

    @mask.setter
    def mask(self, mask: np.ndarray) -> None:
        mask = np.asarray(mask)
        height, width = self._shape
        if mask.shape != self._shape or mask.dtype.kind not in "bf" or not (mask.min() >= 0 and mask.max() <= 1):
            raise PictureError(
                f"the mask is {mask.dtype} of shape {mask.shape}: expected floats ({height}, {width}) in [0, 1], the size of "
                "the picture."
            )
        opacity = np.rint(255 * fit_mask(mask.astype("float32"), self.canvas.height, self.canvas.width)).astype("uint8")
        file = io.BytesIO()
        Image.fromarray(np.stack([*3 * [np.full_like(opacity, 255)], opacity], axis=-1)).save(file, "PNG")
        self.canvas.data = file.getvalue()

    def save(self) -> None:
        """Write the mask as a picture, white on black, for `nst paint --mask`."""
        try:
            path = save_image(np.repeat(self.mask[..., None], 3, axis=-1), free_path(output_folder() / "mask.png"))
        except NSTError as problem:
            self.show_error(problem)
        else:
            self.say(f"Saved {path}. To leave what is white as it is: nst paint PHOTOGRAPH PAINTING --mask {path} none")


def mask_painter(picture: Any, mask: np.ndarray | None = None) -> MaskPainter:
    """Paint a mask over a picture; at the end of a cell, the panel shows itself, and its `mask` is there in the next.

    Args:
        picture: a file's name, a bundled photograph's, an array, or what else `load_image` takes.
        mask: to begin with, (height, width) in [0, 1] of the picture's size; by default empty.

    Raises:
        PictureError: if one of them is none. SettingsError: for an unknown name, with the nearest ones.
    """
    return MaskPainter(find_source(picture, "content").load(), mask)
