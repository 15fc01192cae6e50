"""`layer_explorer`: what a channel of a network sees in a picture, and where."""

import base64
import threading
from html import escape
from typing import Any

import ipywidgets as widgets
import numpy as np
from keras import ops
from matplotlib import colormaps

from nst_lib.backbones import Backbone, load_backbone
from nst_lib.errors import NSTError
from nst_lib.files import free_path
from nst_lib.images import save_image
from nst_lib.losses import gram_matrix
from nst_lib.studio.controls import DropZone, Knob, encode
from nst_lib.studio.panels import Panel, output_path
from nst_lib.studio.sources import Source, dropped, find_source
from nst_lib.weights import find_weights, read_weights, receptive_fields

SIZE = 384  # pixels of the long side
PATCHES = 6
PARTNERS = 5  # channels of the Gram row that are named
LIVELIEST = 12
LAYER = "block4_conv3"  # at the start: what a channel sees there is large enough to be recognised


def plain_backbone(name: str) -> Backbone:
    """A network's own channels, after their ReLU: the pocket VGG's without the `head` that mixes them (see notebook 01).

    Raises:
        SettingsError, WeightsError: as `load_backbone`.
    """
    if name != "pocket":
        return load_backbone(name)
    weights = read_weights(find_weights(name), name)
    for arrays in weights.values():
        del arrays["head"]
    return Backbone(name, weights, "max", "zeros", "float32")


def overlay(picture: np.ndarray, values: np.ndarray, stride: int, opacity: float) -> np.ndarray:
    """A channel over the picture that it was computed from.

    Args:
        picture: (height, width, 3) in [0, 1].
        values: (h, w), one to a square of `stride` pixels; dark is 0 and bright is the largest.
        opacity: how much the values hide of the picture, which is grey where they do, from 0 to 1.

    Returns:
        (height, width, 3).
    """
    height, width = picture.shape[:2]
    colors = colormaps["viridis"](values / max(values.max(), 1e-12))[..., :3]
    large = np.kron(colors, np.ones((stride, stride, 1)))
    large = np.pad(large, [(0, max(0, height - large.shape[0])), (0, max(0, width - large.shape[1])), (0, 0)], "edge")
    grey = np.repeat(picture @ np.array([0.2126, 0.7152, 0.0722])[:, None], 3, axis=-1)
    seen = (1 - opacity) * picture + opacity * (0.25 * grey + 0.75 * large[:height, :width])
    return np.clip(seen, 0, 1).astype("float32")


def strongest(values: np.ndarray, stride: int, sees: int, count: int = PATCHES) -> list[tuple[float, int, int]]:
    """Where a channel is most excited: `(value, top, left)` of squares with a side of `sees` pixels, the strongest first.

    Of two whose middles are nearer than three quarters of a side, the weaker is left out, and so is where it is 0. Squares
    may reach over the picture's edge.
    """
    found: list[tuple[float, int, int]] = []
    left = values.astype("float64").copy()
    near = max(1, int(np.ceil(0.75 * sees / stride)))
    while len(found) < count and left.max() > 0:
        i, j = np.unravel_index(left.argmax(), left.shape)
        top, edge = (int((place + 0.5) * stride - sees / 2) for place in (i, j))
        found.append((float(values[i, j]), top, edge))
        left[max(0, i - near) : i + near + 1, max(0, j - near) : j + near + 1] = 0
    return found


def cut(picture: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """A square piece of a picture; what lies outside is grey."""
    piece = np.full((side, side, 3), 0.5, "float32")
    height, width = picture.shape[:2]
    rows, columns = slice(max(0, top), min(height, top + side)), slice(max(0, left), min(width, left + side))
    piece[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = picture[rows, columns]
    return piece


class LayerExplorer(Panel):
    """A channel's map over a picture, what it likes best there, and its row of the Gram matrix; made by `layer_explorer`.

    Attributes:
        layer, channel, opacity: controls; `liveliest` has the channels that vary most over the picture.
        picture: (h, w, 3) in [0, 1], what is looked at.
        values: (h, w), the channel's activations.
        patches: `(value, top, left)` of its favourite squares.
        gram_row: (channels,), its inner products with the others, as `gram_matrix`.
    """

    def __init__(self, source: Source, backbone: Backbone):
        self.backbone = backbone
        self._fields = receptive_fields(backbone.name)
        wide = {"style": {"description_width": "9.4em"}, "layout": {"width": "100%", "max_width": "32em"}}
        self.zone = DropZone("picture", self._dropped, self.show_error)
        self.layer = widgets.Dropdown(options=backbone.layers, value=LAYER, description="layer", **wide)
        self.channel = Knob("channel", 0, 0, 1, 1)
        self.liveliest = widgets.Dropdown(description="liveliest here", **wide)
        self.opacity = Knob("map over picture", 0.6, 0, 1, 0.05)
        self.view, self.details = widgets.HTML(), widgets.HTML()
        self._save_button = widgets.Button(description="Save", tooltip="write the map over the picture into a file")
        super().__init__()
        column, wrap = {"flex": "1 1 320px", "max_width": "512px"}, {"flex_flow": "row wrap", "grid_gap": "6px 24px"}
        left = widgets.VBox([self.view, self._save_button, self.message], layout=column)
        right = widgets.VBox(
            [self.zone, self.layer, self.channel, self.liveliest, self.opacity, self.details], layout=column
        )
        self.children = [widgets.Box([left, right], layout=wrap)]
        self._choosing = False
        self._shown: tuple[str, np.ndarray] | None = None  # what is drawn, with its name
        self._take(source)
        self.layer.observe(lambda _: self._choose_layer(), "value")
        self.liveliest.observe(self._choose_channel, "value")
        self.channel.observe(self._channel_chosen, "value")
        self.opacity.observe(lambda _: self._draw(), "value")
        self._save_button.on_click(lambda _: self.save())

    def save(self) -> None:
        """Write the map over the picture into a file of its own."""
        if self._shown is None:  # nothing is drawn yet
            return
        name, seen = self._shown
        try:
            path = save_image(seen, free_path(output_path(name)))
        except NSTError as problem:
            self.show_error(problem)
            return
        self.say(f"Saved {path}: {seen.shape[1]} x {seen.shape[0]} pixels.")

    def _dropped(self, name: str, data: bytes) -> None:
        self._take(dropped(name, data))

    def _take(self, source: Source) -> None:
        """Look at another picture. Whatever goes wrong, the former one stays, with its own activations."""
        picture = source.load(SIZE)
        activations = {
            layer: ops.convert_to_numpy(values)[0]
            for layer, values in self.backbone(picture, self.backbone.layers).items()
        }
        self.picture, self._name, self._activations = picture, source.name, activations
        self.zone.show(source.name, self.picture)
        self._choose_layer()

    def _choose_layer(self) -> None:
        """Go to the liveliest channel of the layer."""
        spread = self._activations[self.layer.value].std(axis=(0, 1))
        channels = [int(channel) for channel in np.argsort(spread)[::-1][:LIVELIEST]]
        self._choosing = True
        self.channel.most = len(spread) - 1
        self.liveliest.options = channels
        self.liveliest.value = self.channel.value = channels[0]
        self._choosing = False
        self._draw()

    def _choose_channel(self, change: Any) -> None:
        if not self._choosing and change.new is not None:
            self.channel.value = change.new

    def _channel_chosen(self, change: Any) -> None:
        if self._choosing:
            return
        channel = int(change.new)
        self.liveliest.value = channel if channel in self.liveliest.options else None
        self._draw()

    def _draw(self) -> None:
        self.say("")
        self.worker.run(self._show)

    def _show(self, cancelled: threading.Event) -> None:
        layer = self.layer.value
        stride, sees = self._fields[layer]
        activations = self._activations[layer]
        channel = min(
            int(self.channel.value), activations.shape[-1] - 1
        )  # while the layer is changed, it may be another's
        self.values = activations[..., channel]
        self.patches = strongest(self.values, stride, sees)
        self.gram_row = ops.convert_to_numpy(gram_matrix(activations[None]))[0, channel]
        seen = overlay(self.picture, self.values, stride, self.opacity.value)
        if cancelled.is_set():
            return
        self._shown = f"{self._name}_{layer}_{channel}", seen
        self.view.value = _picture_with_boxes(
            seen, self.patches, sees, f"{layer}, channel {channel}, over {self._name}"
        )
        self.details.value = _describe_patches(self.picture, self.patches, sees) + _describe_row(self.gram_row, channel)


def layer_explorer(picture: Any, backbone: str = "pocket") -> LayerExplorer:
    """Look at a picture through any channel of a network; at the end of a cell, the panel shows itself.

    Args:
        picture: a file's name, a bundled photograph's, an array, or what else `load_image` takes. Another one can be dropped
            on the panel.
        backbone: "pocket", "vgg16" or "vgg19".

    Raises:
        PictureError: if it is no picture. SettingsError, WeightsError: as `load_backbone`.
    """
    return LayerExplorer(find_source(picture, "content"), plain_backbone(backbone))


def _picture_with_boxes(seen: np.ndarray, patches: list[tuple[float, int, int]], side: int, alt: str) -> str:
    height, width = seen.shape[:2]
    boxes = ""
    for number, (_, top, left) in enumerate(patches, start=1):
        place = f'x="{left}" y="{top}" width="{side}" height="{side}"'
        for color, thickness in (("#000", 3), ("#fff", 1.5)):  # the dark rim keeps it visible on anything
            boxes += f'<rect {place} stroke="{color}" stroke-width="{thickness}"/>'
        x, y = (left + 3, top + 15) if side >= 24 else (left + side + 3, top + side)  # beside what it would cover
        x, y = min(max(x, 3), width - 12), min(max(y, 15), height - 3)
        boxes += f'<text x="{x}" y="{y}">{number}</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}" style="width: 100%; display: block">'
        f'<image href="{_data_url(seen)}" width="{width}" height="{height}"/><g class="nst-boxes">{boxes}</g></svg>'
    )


def _describe_patches(picture: np.ndarray, patches: list[tuple[float, int, int]], side: int) -> str:
    if not patches:
        return "<h4>What it likes best here</h4><p>Nothing: the channel is 0 everywhere in this picture.</p>"
    figures = "".join(
        f'<figure><img src="{_data_url(cut(picture, top, left, side))}" alt="patch {number}">'
        f"<figcaption>{number}: {value:.3g}</figcaption></figure>"
        for number, (value, top, left) in enumerate(patches, start=1)
    )
    title = f"What it likes best here: squares of {side} pixels, which are all that it sees"
    return f'<h4>{title}</h4><div class="nst-patches">{figures}</div>'


def _describe_row(row: np.ndarray, channel: int) -> str:
    """The channel's row of the Gram matrix, as bars, with the largest in words."""
    others = [int(other) for other in np.argsort(row)[::-1] if other != channel and row[other] > 0][:PARTNERS]
    said = ", ".join(f"{other} ({row[other]:.3g})" for other in others) or "none"
    words = f"with itself {row[channel]:.3g}; most with {said}"
    each, largest = 480 / len(row), max(float(row.max()), 1e-12)
    bars = "".join(
        f'<rect x="{i * each:.2f}" y="{80 - 76 * value / largest:.2f}" width="{0.8 * each:.2f}" '
        f'height="{76 * value / largest + 1:.2f}" fill="{"#d55e00" if i == channel else "currentColor"}"/>'
        for i, value in enumerate(row)
    )
    mark = f'<text x="{(channel + 0.4) * each:.1f}" y="94" text-anchor="middle" font-size="12">{channel}</text>'
    return (
        "<h4>Its row of the Gram matrix: with which channels it fires together</h4>"
        f'<svg viewBox="0 0 480 98" role="img" aria-label="channel {channel}: {words}" fill="currentColor" '
        f'style="width: 100%; display: block">{bars}{mark}</svg><p>{words[0].upper()}{words[1:]}.</p>'
    )


def _data_url(picture: np.ndarray) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode(picture)).decode()}"
