"""A painting for each part of the picture."""

import numpy as np
import oracles
import pytest
from keras import ops
from PIL import ExifTags, Image

from nst_lib import cli
from nst_lib.errors import PictureError, SettingsError
from nst_lib.images import load_image, save_image
from nst_lib.losses import gram_distance, gram_matrix, guided_gram_distance
from nst_lib.masks import check_masks, fit_mask, load_mask, regions
from nst_lib.painting import Painting, paint

LEFT = np.repeat([[1.0, 0.0]], 32, axis=1).repeat(64, axis=0).astype("float32")  # (64, 64)
RIGHT = 1 - LEFT


def test_one_region_everywhere_is_the_whole_picture():
    random = np.random.default_rng(0)
    seen, other = (ops.convert_to_tensor(random.random((1, 6, 8, 5), "float32")) for _ in range(2))
    target = gram_matrix(other)
    whole = guided_gram_distance(seen, target, ops.ones((1, 6, 8)))
    assert float(whole) == pytest.approx(float(gram_distance(seen, target)), rel=1e-4)


def test_the_guided_distance_against_numpy():
    random = np.random.default_rng(0)
    seen, masks = random.random((1, 6, 8, 5)), random.random((3, 6, 8))
    targets = np.stack([oracles.gram(random.random((4, 4, 5))) for _ in range(3)])
    expected, areas = 0.0, masks.mean((1, 2))
    for mask, target, area in zip(masks, targets, areas, strict=True):
        gram = np.einsum("yx,yxi,yxj->ij", mask, seen[0], seen[0]) / mask.sum()
        expected += area * ((gram - target) ** 2).sum() / (target**2).sum() / areas.sum()
    tensors = (ops.convert_to_tensor(array.astype("float32")) for array in (seen, targets, masks))
    assert float(guided_gram_distance(*tensors)) == pytest.approx(expected, rel=1e-3)


def test_each_half_is_painted_in_its_own_manner(pair):
    photograph, painting = pair
    orange, blue = (np.clip(painting * tint, 0, 1).astype("float32") for tint in ([1, 0.5, 0.1], [0.1, 0.3, 1]))
    work = Painting(photograph, [orange, blue], masks=[LEFT, RIGHT], size=64, steps=25, style_weight=3)
    for _ in paint(work):
        pass
    left, right = work.picture[:, :28], work.picture[:, 36:]
    warmth = [half[..., 0].mean() - half[..., 2].mean() for half in (left, right)]
    assert warmth[0] > 0.1 and warmth[1] < -0.1


def test_what_no_mask_covers_stays_the_photograph(pair, tmp_path):
    photograph, painting = pair
    work = Painting(photograph, painting, masks=[LEFT], size=64, steps=4)
    for _ in paint(work):
        pass
    np.testing.assert_allclose(work.picture[:, 32:], work.subject.content[:, 32:], atol=1e-6)
    assert np.abs(work.picture[:, :32] - work.subject.content[:, :32]).mean() > 0.02
    again = Painting.load(work.save(tmp_path / "run.npz"))
    np.testing.assert_array_equal(again.subject.masks, work.subject.masks)
    np.testing.assert_array_equal(again.picture, work.picture)


def test_a_smaller_mask_keeps_its_area():
    disc = (np.hypot(*np.mgrid[-1:1:97j, -1:1:97j]) < 0.7).astype("float32")
    for size in ((64, 64), (30, 50), (7, 7)):
        assert fit_mask(disc, *size).mean() == pytest.approx(disc.mean(), rel=0.03)


def test_masks_come_from_lightness_or_transparency(tmp_path):
    drawn = np.zeros((40, 48), "uint8")
    drawn[10:20] = 255
    Image.fromarray(drawn).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([drawn * 0] * 3 + [drawn])).save(tmp_path / "alpha.png")
    Image.fromarray(np.dstack([drawn] * 3 + [drawn * 0 + 255])).save(tmp_path / "opaque.png")
    palette = Image.fromarray(drawn // 255).convert("P")
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("grey.png", "alpha.png", "opaque.png", "palette.png"):
        path = tmp_path / name
        for source in (path, path.read_bytes(), Image.open(path)):
            np.testing.assert_allclose(load_mask(source), drawn / 255, atol=1e-6)
    for array in (drawn, np.dstack([drawn * 0] * 3 + [drawn])):
        np.testing.assert_allclose(load_mask(array), drawn / 255, atol=1e-6)
    with pytest.raises(PictureError, match="gone.png"):
        load_mask(tmp_path / "gone.png")


def test_a_mask_is_read_with_all_care_that_pictures_are(tmp_path):
    drawn = np.zeros((40, 48), "uint8")
    drawn[10:20] = 255
    Image.fromarray(np.dstack([drawn * 0] * 3 + [drawn])).save(tmp_path / "mask.png", exif=b"Exif\0\0no TIFF")
    np.testing.assert_allclose(load_mask(tmp_path / "mask.png"), drawn / 255, atol=1e-6)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.dstack([drawn * 0] * 3 + [drawn])).save(tmp_path / "turned.png", exif=turned)
    np.testing.assert_allclose(load_mask(tmp_path / "turned.png"), np.rot90(drawn, -1) / 255, atol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 800)  # which refuses more than twice as many
        with pytest.raises(PictureError, match="more than 1,900 pixels"):
            load_mask(tmp_path / "mask.png", max_pixels=1900)
        assert load_mask(tmp_path / "mask.png", max_pixels=1920).shape == (40, 48)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ([LEFT], SettingsError, "1 masks for 2 paintings"),
        ([LEFT, LEFT * 0], SettingsError, "mask 2 is empty"),
        ([LEFT, LEFT], SettingsError, "overlap on 50.0% of the picture"),
        ([LEFT, RIGHT[:, :40]], PictureError, "mask 2 is 40 x 64 and the photograph 64 x 64"),
        ([LEFT, RIGHT * 2], PictureError, "mask 2 is float32 of shape"),
        ([LEFT, np.zeros((0, 0))], PictureError, r"mask 2 is float64 of shape \(0, 0\)"),
        ([LEFT, RIGHT * np.nan], PictureError, "mask 2 is float32"),
        ([LEFT, np.dstack([RIGHT] * 3)], PictureError, r"mask 2 .*\(64, 64, 3\)"),
    ],
)
def test_bad_masks_are_named(pair, masks, error, message):
    with pytest.raises(error, match=message):
        check_masks(masks, 2, pair[0])


def test_soft_edges_may_meet(pair):
    soft = fit_mask(LEFT[:, 1:-1], 64, 64)
    assert check_masks([soft, 1 - soft], 2, pair[0]).shape == (2, 64, 64)


def test_regions_leave_alone_what_has_no_style(pair):
    rest, painted = regions(pair[0], [LEFT * (np.arange(64) < 16), RIGHT], ["wave.png", "none"])
    assert rest[:, 16:32].min() == 1 and rest[:, 32:].max() == 0 and painted[:, :16].min() == 1
    with pytest.raises(SettingsError, match="cover the whole picture"):
        regions(pair[0], [LEFT, RIGHT], ["wave.png", "none"])


def test_masks_that_have_names_are_called_by_them(pair):
    with pytest.raises(PictureError, match="white.png is 40 x 64 and the photograph 64 x 64"):
        regions(pair[0], [RIGHT[:, :40]], ["none"], ["white.png"])


@pytest.mark.parametrize("setting", [{"shares": [0.5, 0.5]}, {"style_loss": "wasserstein"}, {"tileable": True}])
def test_masks_do_not_go_with_everything(pair, setting):
    with pytest.raises(SettingsError, match="masks go with"):
        Painting(pair[0], [pair[1]] * 2, masks=[LEFT, RIGHT], **setting)


def test_masks_on_the_command_line(pair, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    save_image(pair[0], "photo.png")
    save_image(pair[1], "wave.png")
    Image.fromarray((LEFT * 255).astype("uint8")).save("left.png")
    quick = ["--size", "64", "--steps", "2", "-o", "out.png"]
    assert cli.main(["paint", "photo.png", "wave.png", "--mask", "left.png", "none", *quick]) == 0
    with Image.open("out.png") as image:
        np.testing.assert_allclose(np.asarray(image)[:, :30] / 255, pair[0][:, :30], atol=0.005)
    assert cli.main(["paint", "photo.png", "wave.png", "wave.png", "--mask", "left.png", "none", *quick]) == 2
    assert "one painting before it" in capfd.readouterr().err
    assert (
        cli.main(["paint", "photo.png", "wave.png", "--mask", "left.png", "none", *quick, "--max-pixels", "4095"]) == 2
    )
    assert "has more than 4,095 pixels" in capfd.readouterr().err


def test_each_mask_is_painted_in_its_own_style(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    save_image(np.full((64, 64, 3), 0.5, "float32"), "photo.png")
    for name, color in (("orange", (0.9, 0.5, 0.1)), ("blue", (0.1, 0.3, 0.9)), ("grey", (0.5, 0.5, 0.5))):
        save_image((color + random.normal(0, 0.08, (64, 64, 1))).clip(0, 1).astype("float32"), f"{name}.png")
    for name, columns in (("left", slice(0, 24)), ("right", slice(40, 64))):
        mask = np.zeros((64, 64), "uint8")
        mask[:, columns] = 255
        Image.fromarray(mask).save(f"{name}.png")
    masks = ["--mask", "left.png", "orange.png", "--mask", "right.png", "blue.png"]
    quick = ["--size", "64", "--steps", "25", "--content-weight", "0.01", "-o", "out.png"]
    assert cli.main(["paint", "photo.png", "grey.png", *masks, *quick]) == 0
    with Image.open("out.png") as image:
        left, middle, right = (np.asarray(image)[:, part].mean((0, 1)) for part in np.s_[0:20, 30:34, 44:64])
    warmth = [part[0] - part[2] for part in (left, middle, right)]  # red less blue
    assert warmth[0] > warmth[1] + 20 and warmth[1] > warmth[2] + 20, warmth


def test_a_checkpoint_goes_on_with_its_own_masks(pair, tmp_path, monkeypatch, nst):
    monkeypatch.chdir(tmp_path)
    save_image(pair[0], "photo.png")
    save_image(pair[1], "wave.png")
    for name, mask in (("left", LEFT), ("right", RIGHT)):
        Image.fromarray((mask * 255).astype("uint8")).save(f"{name}.png")
    work = Painting(load_image("photo.png"), load_image("wave.png"), masks=[RIGHT], size=64, steps=2)
    work.step()
    work.save("half.npz")
    resume = ("--resume", "half.npz", "-o", "out.png")
    other = nst("paint", "photo.png", "wave.png", "--mask", "right.png", "none", *resume)
    assert other.code == 2 and "half.npz was made with other masks" in other.err
    assert "half.npz was made with other masks, or none" in nst("paint", "photo.png", "wave.png", *resume).err
    assert nst("paint", "photo.png", "wave.png", "--mask", "left.png", "none", *resume).code == 0
