"""The transforms against SciPy's."""

import numpy as np
import pytest
import scipy.fft
from keras import ops

from nst_lib import waves
from nst_lib.waves import enlarge_periodic, frequencies, from_waves, to_waves


@pytest.fixture(params=["matrices", "fast"])
def way(request, monkeypatch):
    """The same for small pictures, by either way."""
    monkeypatch.setattr(waves, "FAST_FROM", 10**9 if request.param == "matrices" else 0)
    return request.param


def random_picture(height, width):
    return np.random.default_rng(0).normal(size=(height, width, 3)).astype("float32")


@pytest.mark.parametrize("height, width", [(8, 12), (7, 9), (1, 6), (33, 2)])
def test_the_cosine_transform_is_scipys(way, height, width):
    picture = random_picture(height, width)
    amplitudes = ops.convert_to_numpy(to_waves(ops.convert_to_tensor(picture)))
    expected = scipy.fft.dctn(picture, axes=(0, 1), norm="ortho").transpose(2, 0, 1)
    np.testing.assert_allclose(amplitudes, expected, atol=1e-5)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("height, width", [(8, 12), (7, 9), (1, 6), (33, 2)])
def test_there_and_back_and_no_energy_lost(way, height, width, periodic):
    picture = random_picture(height, width)
    amplitudes = to_waves(ops.convert_to_tensor(picture), periodic=periodic)
    np.testing.assert_allclose(ops.convert_to_numpy(from_waves(amplitudes, periodic=periodic)), picture, atol=1e-5)
    assert np.sum(ops.convert_to_numpy(amplitudes) ** 2) == pytest.approx(np.sum(picture**2), rel=1e-5)


def test_a_large_picture_is_transformed_fast_and_just_the_same():
    picture = random_picture(601, 833)
    assert picture[..., 0].size >= waves.FAST_FROM
    amplitudes = to_waves(ops.convert_to_tensor(picture))
    expected = scipy.fft.dctn(picture, axes=(0, 1), norm="ortho").transpose(2, 0, 1)
    np.testing.assert_allclose(ops.convert_to_numpy(amplitudes), expected, atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(from_waves(amplitudes)), picture, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_a_wave_has_its_frequency(side):
    positions = np.arange(side)
    for k, frequency in enumerate(frequencies(side)):
        assert frequency == k / (2 * side)
        wave = ops.convert_to_numpy(from_waves(ops.convert_to_tensor(np.eye(side, dtype="float32")[None, k : k + 1])))
        expected = np.cos(2 * np.pi * frequency * (positions + 0.5))
        np.testing.assert_allclose(wave[0, :, 0], expected / np.linalg.norm(expected), atol=1e-6)


def test_frequencies_need_no_basis():
    waves._basis.cache_clear()
    assert len(frequencies(4096)) == len(frequencies(4096, periodic=True)) == 4096
    assert waves._basis.cache_info().currsize == 0


@pytest.mark.parametrize("pattern", [[1, -1, 1, -1, 1, -1, 1, -1], [1, 0, -1, 0, 1, 0, -1, 0]])
def test_an_enlarged_wave_is_as_high_as_it_was(pattern):
    picture = np.multiply.outer(np.ones(6), pattern)[None, ..., None] * np.ones(3, "float32")
    larger = ops.convert_to_numpy(enlarge_periodic(ops.convert_to_tensor(picture.astype("float32")), size=(12, 16)))
    np.testing.assert_allclose(larger.max(), 1, atol=1e-5)
    np.testing.assert_allclose(larger.min(), -1, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_a_periodic_wave_has_its_frequency_and_goes_round(side):
    for k, frequency in enumerate(frequencies(side, True)):
        wave = ops.convert_to_numpy(
            from_waves(ops.convert_to_tensor(np.eye(side, dtype="float32")[None, k : k + 1]), periodic=True)
        )
        spectrum = np.abs(np.fft.fft(wave[0, :, 0]))
        assert set(np.flatnonzero(spectrum > 1e-4)) == {round(frequency * side), round(-frequency * side) % side}


@pytest.mark.parametrize("size", [(64, 96), (63, 95), (40, 60)])
def test_a_periodic_picture_is_enlarged_without_a_seam(size):
    """Waves of whole turns become the same waves in a larger picture."""

    def draw(height, width):
        down, across = np.arange(height)[:, None] / height, np.arange(width)[None] / width
        one = np.sin(2 * np.pi * (2 * down + across)) + 0.5 * np.cos(2 * np.pi * (3 * across - down))
        return np.stack([one, 0.3 + 0 * one, -one], axis=-1)[None].astype("float32")

    found = ops.convert_to_numpy(enlarge_periodic(ops.convert_to_tensor(draw(32, 48)), size=size))
    np.testing.assert_allclose(found, draw(*size), atol=1e-5)
