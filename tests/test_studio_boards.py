"""`moodboard_studio` without a browser."""

import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anywidget", reason="panels come with the extra course")
pytest.importorskip("matplotlib", reason="mood boards come with the extra course")

from traitlets import TraitError

from nst_lib import load_image, moodboard
from nst_lib.errors import PictureError, SettingsError
from nst_lib.moodboards import draw_board
from nst_lib.studio import moodboard_studio


@pytest.fixture
def panel(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = moodboard_studio([*pair, pair[0]], title="Three")
    panel.worker.wait(60)
    yield panel
    panel.close()


def test_a_page_takes_a_name_that_is_free_for_both_files(panel, tmp_path):
    (tmp_path / "moodboard.pdf").write_bytes(b"somebody's")
    panel.save()
    panel.files.wait(60)
    assert (tmp_path / "moodboard.pdf").read_bytes() == b"somebody's"
    assert (tmp_path / "moodboard-2.png").is_file() and (tmp_path / "moodboard-2.pdf").is_file()


def test_page_is_shown_and_its_boxes_are_where_the_pictures_are(panel):
    page = load_image(panel.view.page)
    assert page.shape[1] / page.shape[0] == pytest.approx(297 / 210, rel=1e-3)
    assert panel.view.alt == "a page with pictures and their colours, 3 in all, titled Three"
    height, width = page.shape[:2]
    for picture, (left, top, w, h) in zip(panel.pictures, panel.view.boxes, strict=True):
        piece = page[round(top * height) : round((top + h) * height), round(left * width) : round((left + w) * width)]
        assert piece.shape[1] / piece.shape[0] == pytest.approx(picture.shape[1] / picture.shape[0], rel=0.02)
        assert np.abs(piece.mean((0, 1)) - picture.mean((0, 1))).max() < 0.02


def test_title_and_columns_are_drawn_anew(panel):
    before, boxes = panel.view.page, panel.view.boxes
    panel.title.value = "Another"
    panel.worker.wait(60)
    assert panel.view.page != before and "titled Another" in panel.view.alt
    panel.columns.value = 1
    panel.worker.wait(60)
    assert len({box[1] for box in panel.view.boxes}) == 3 and panel.view.boxes != boxes
    panel.columns.value = 0
    panel.worker.wait(60)
    assert panel.view.boxes == boxes


def test_a_row_short_of_pictures_is_no_higher_than_the_others(pair):
    five = [pair[0]] * 5
    board = draw_board(five, ["jpeg"], columns=2)
    heights = [box[3] for box in board.boxes]
    assert heights == pytest.approx([heights[0]] * 5)
    left, _, width, _ = board.boxes[-1]
    assert left + width / 2 == pytest.approx(0.5, abs=0.01)


def test_saved_files_are_those_of_the_library(panel, tmp_path):
    for name in ("moodboard", "moodboard-2"):
        panel.save()
        panel.files.wait(60)
        assert f"Saved {name}.png and {name}.pdf" in panel.message.value
    png, pdf = moodboard(panel.pictures, tmp_path / "by_library.png", title="Three")
    assert (tmp_path / "moodboard.png").read_bytes() == png.read_bytes()
    assert (tmp_path / "moodboard-2.pdf").read_bytes() == pdf.read_bytes()


def test_a_picture_is_sent_large_when_it_is_pressed(panel, monkeypatch):
    sent = []
    monkeypatch.setattr(panel.view, "send", lambda content, buffers: sent.append((content, buffers)))
    panel.view._handle_custom_msg({"picture": 1}, [])
    ((content, (jpeg,)),) = sent
    assert content == {"picture": 1}
    assert np.square(load_image(jpeg) - panel.pictures[1]).mean() < 1e-3
    panel.pictures[1] = np.tile(panel.pictures[1][:40], (1, 100, 1))  # a frieze
    panel.view._handle_custom_msg({"picture": 1}, [])
    assert Image.open(io.BytesIO(sent[1][1][0])).size == (1600, 10)


def test_a_cell_whose_board_failed_can_be_run_again(pair, monkeypatch):
    runs = iter("12")

    class Shell:
        def get_parent(self):
            return {"metadata": {"cellId": "board"}, "header": {"msg_id": next(runs)}}

    monkeypatch.setattr("IPython.get_ipython", Shell)
    with pytest.raises(TraitError, match="expected an int"):
        moodboard_studio(pair, columns="three")
    moodboard_studio(pair, columns=3).close()


def test_mistakes_are_explained(pair):
    with pytest.raises(PictureError, match="a picture of the board is uint8"):
        moodboard_studio([np.zeros((40, 40, 3), "uint8")])
    panel = moodboard_studio([pair[0]], font="no such font at all")
    with pytest.raises(SettingsError, match="unknown font"):
        panel.worker.wait(60)
    assert "unknown font" in panel.message.value
    panel.close()
