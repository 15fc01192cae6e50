"""The notebooks' figures: laid out as promised, in colours that everybody can tell apart, readable on any background."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="figures come with the extra course")
pytest.importorskip("IPython", reason="figures come with the extra course")

from PIL import Image

from nst_lib import figures
from nst_lib.errors import PictureError, SettingsError

BLACK, GREY = np.zeros((40, 60, 3), "float32"), np.full((90, 60, 3), 0.5, "float32")


@pytest.fixture
def drawn(monkeypatch):
    """The matplotlib figures that were drawn, in order."""
    kept, image = [], figures.finish
    monkeypatch.setattr(figures, "finish", lambda figure, *rest: kept.append(figure) or image(figure, *rest))
    return kept


def pixels(image):
    return np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB")) / 255


def run(sizes=((40, 60),) * 4):
    """States as `paint` yields them, in a run of content weight 2 and style weight 3."""
    states = []
    for i, size in enumerate(sizes, start=1):
        parts = {"content": 0.2 * i, "total_variation": 0.0, "a": 3 * 30 / 2 * 1 / i, "b": 3 * 30 / 2 * 3 / i}
        states.append(
            SimpleNamespace(
                step=i, size=size, style={"a": 1 / i, "b": 3 / i}, contributions=parts, loss=sum(parts.values())
            )
        )
    return states


def test_pictures_of_a_row_are_equally_high_and_fill_the_width():
    shown = pixels(figures.show_pictures([BLACK, GREY], width=400))
    dark = shown.mean(axis=2) < 0.7  # the gap between them is white
    assert shown.shape[1] == 400
    assert dark[:, 5].mean() > 0.95 and dark[:, -5].mean() > 0.95
    columns = dark.mean(axis=0) > 0.5
    assert abs((~columns).sum() - figures.GAP) <= 3


def test_pictures_keep_their_shape_and_colour():
    shown = pixels(figures.show_pictures([GREY], width=300))
    assert abs(shown.shape[0] / shown.shape[1] - 90 / 60) < 0.02 or shown.shape[0] == 400
    assert abs(shown.mean() - 0.5) < 0.02


def test_rows_have_as_many_pictures_as_asked_for(drawn):
    figures.show_pictures([BLACK] * 5, list("abcde"), columns=3)
    (figure,) = drawn
    tops = [round(axes.get_position().y1, 3) for axes in figure.axes]
    assert len(set(tops[:3])) == len(set(tops[3:])) == 1 and tops[0] > tops[3]
    assert [axes.get_title(loc="left") for axes in figure.axes] == list("abcde")


def test_titles_are_equally_large(drawn):
    figures.show_pictures([BLACK, GREY, BLACK], ["x", "a title much longer than the picture below it is wide", "y"])
    assert len({axes._left_title.get_fontsize() for axes in drawn[0].axes}) == 1


def test_long_titles_stay_above_their_picture(drawn):
    figures.show_pictures([BLACK, GREY, BLACK], ["x", "a title much longer than the picture below it is wide", "y"])
    (figure,) = drawn
    figure.draw_without_rendering()
    title, neighbour = figure.axes[1]._left_title, figure.axes[2]
    assert title.get_window_extent().x1 < neighbour.get_window_extent().x0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "0 pictures"),
        (([BLACK], ["a", "b"]), "1 pictures and 2 titles"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(arguments, message):
    with pytest.raises(SettingsError, match=message):
        figures.show_pictures(*arguments)


def test_other_mistakes_are_named():
    with pytest.raises(SettingsError, match="columns is 0"):
        figures.show_pictures([BLACK], columns=0)
    with pytest.raises(PictureError, match="from 0 to 255"):
        figures.show_pictures([BLACK, np.linspace(0, 255, 3 * 64 * 64).reshape(64, 64, 3)])
    with pytest.raises(SettingsError, match="no states"):
        figures.plot_losses([])


def test_every_figure_can_be_read_aloud():
    assert figures.show_pictures([BLACK, GREY], ["night", "fog"]).alt == "Pictures: night; fog"
    assert figures.show_pictures([BLACK], alt="a cat").alt == "a cat"
    assert "total from 1.8e+02 to 46" in figures.plot_losses(run()).alt


def test_parts_of_the_loss_add_up(drawn):
    figures.plot_losses(run())
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert list(lines) == ["total", "content", "style"]
    total, content, style = (np.asarray(line.get_ydata()) for line in lines.values())
    np.testing.assert_allclose(content + style, total)
    assert [line.get_color() for line in lines.values()] == [figures.COLORS[n] for n in ("total", "content", "style")]
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines.values()}) == 3


def test_a_new_size_is_marked(drawn):
    figures.plot_losses(run([(20, 30), (20, 30), (40, 60), (40, 60)]))
    *_, mark = drawn[0].axes[0].lines
    assert list(mark.get_xdata()) == [3, 3]


def test_colours_differ_in_lightness_and_stand_out_from_white():
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    values = {name: luminance(colour) for name, colour in figures.COLORS.items()}
    assert all(1.05 / (value + 0.05) > 3 for value in values.values()), values  # WCAG 2.1, 1.4.11
    assert len({str(dashes) for dashes in figures.DASHES.values()}) == 3


def test_background_is_white_in_any_theme():
    assert (pixels(figures.plot_losses(run()))[:3] > 0.99).all()


def test_maps_have_one_scale_where_a_limit_is_given(drawn):
    figures.show_maps([np.full((4, 6), 0.5), np.eye(5)], ["half", "diagonal"], limit=2.0)
    assert [axes.images[0].get_clim() for axes in drawn[0].axes] == [(0.0, 2.0)] * 2
    figures.show_maps([np.eye(3) - 0.5, 7 * np.eye(3)], signed=True)
    assert [axes.images[0].get_clim() for axes in drawn[1].axes] == [(-1.0, 1.0)] * 2
    np.testing.assert_allclose(drawn[1].axes[1].images[0].get_array(), np.eye(3))


def test_boxes_lie_where_they_were_put(drawn):
    figures.show_boxes(BLACK, [(10, 5, 20, 10), (50, 30, 30, 30)], ["one", "two"], alt="two boxes")
    (axes,) = drawn[0].axes
    boxes = {patch.get_bbox().bounds for patch in axes.patches}
    assert boxes == {(10, 5, 20, 10), (50, 30, 30, 30)}
    assert [text.get_text() for text in axes.texts] == ["one", "two"]
    assert axes.get_xlim() == (0, 60) and axes.get_ylim() == (40, 0)


def test_matrices_share_a_scale_and_show_their_numbers(drawn):
    figures.show_matrices([[[1, -2], [0, 4]], np.zeros((2, 3))], ["a", "b"], labels=["x", "y"], alt="two matrices")
    first, second, _bar = drawn[0].axes
    assert first.images[0].get_clim() == second.images[0].get_clim() == (-4, 4)
    assert [text.get_text() for text in first.texts] == ["1", "-2", "0", "4"]
    assert [label.get_text() for label in first.get_yticklabels()] == ["x", "y"]
    with pytest.raises(SettingsError, match="no matrices"):
        figures.show_matrices([], alt="nothing")


def test_curves_have_the_colours_of_the_course(drawn):
    line = range(3), (1, 10, 100)
    figures.plot_curves(
        {"style": line, "mine": line, "yours": line}, xlabel="step", ylabel="loss", log=True, alt="lines"
    )
    (axes,) = drawn[0].axes
    assert [drawn_line.get_color() for drawn_line in axes.lines] == [figures.COLORS["style"], *figures.OTHERS[:2]]
    assert axes.get_yscale() == "log" and axes.get_legend() is not None


def test_a_logarithmic_axis_can_be_read(drawn):
    calls = range(1, 21), [350, *19 * [17]]
    figures.plot_curves({"each call": calls}, xlabel="call", ylabel="milliseconds", log=True, alt="calls")
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    assert {20, 50, 100, 200} <= {tick for tick in axes.get_yticks() if low <= tick <= high}
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_bars_stand_in_groups(drawn):
    figures.plot_bars({"content": [1, 2], "mine": [3, 4]}, ["a", "b"], ylabel="distance", alt="bars")
    (axes,) = drawn[0].axes
    assert [bar.get_height() for bar in axes.patches] == [1, 2, 3, 4]
    assert all(a.get_x() + a.get_width() <= b.get_x() for a, b in zip(axes.patches[:2], axes.patches[2:], strict=True))


def test_a_film_has_every_picture():
    frames = [np.full((20, 30, 3), level, "float32") for level in (0.0, 0.5, 1.0)]
    with Image.open(io.BytesIO(figures.film(frames, alt="from black to white").data)) as film:
        assert film.n_frames == 3 and film.size == (30, 20) and film.info["loop"] == 0
        for number, level in enumerate((0.0, 0.5, 1.0)):
            film.seek(number)
            assert np.abs(np.asarray(film.convert("RGB")) / 255 - level).max() < 0.05
    with pytest.raises(SettingsError, match="no pictures"):
        figures.film([], alt="nothing")
