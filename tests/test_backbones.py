"""The networks against a plain NumPy convolution of the same weights."""

import hashlib

import numpy as np
import oracles
import pytest
from keras import ops

from nst_lib import backbones
from nst_lib.backbones import STYLE_LAYERS, Backbone, load_backbone
from nst_lib.errors import SettingsError, WeightsError
from nst_lib.weights import POCKET_FILE, find_weights, read_weights

POCKET_SHA256 = "6625d75ad413b91cfbac0b932fd668ab2ddb32229f7fba965ce5ea1a3b2a46a7"
POCKET_CHANNELS = {
    "block1_conv1": 24, "block1_conv2": 24,
    "block2_conv1": 48, "block2_conv2": 48,
    "block3_conv1": 96, "block3_conv2": 96, "block3_conv3": 96,
    "block4_conv1": 128, "block4_conv2": 128, "block4_conv3": 128,
    "block5_conv1": 128,
}  # fmt: skip


def check_activations(net, picture, expected):
    """The backbone's activations of every layer are `expected`, but for rounding."""
    seen = net(picture, net.layers)
    assert set(seen) == set(expected) == set(net.layers)
    for layer, activations in expected.items():
        got = ops.convert_to_numpy(seen[layer])
        assert got.shape == (1, *activations.shape), layer
        np.testing.assert_allclose(got[0], activations, rtol=1e-3, atol=1e-5 * np.abs(activations).max(), err_msg=layer)


def test_the_pocket_file_is_the_published_one():
    assert hashlib.sha256(POCKET_FILE.read_bytes()).hexdigest() == POCKET_SHA256


def test_the_pocket_vgg_has_its_layers_and_shapes(pair):
    net = load_backbone("pocket")
    assert net.name == "pocket" and net.layers == tuple(POCKET_CHANNELS)
    seen = net(pair[0][:45, :60], net.layers)
    sides = {1: (45, 60), 2: (22, 30), 3: (11, 15), 4: (5, 7), 5: (2, 3)}
    for layer, channels in POCKET_CHANNELS.items():
        assert tuple(seen[layer].shape) == (1, *sides[int(layer[5])], channels)


@pytest.mark.parametrize("padding, edge", [("zeros", "constant"), ("replicate", "edge")])
def test_the_pocket_vgg_against_numpy(pair, padding, edge):
    picture = pair[0][:45, :40]
    expected = oracles.vgg(picture, np.load(POCKET_FILE), edge)
    check_activations(load_backbone("pocket", padding=padding), picture, expected)


def test_average_pooling_against_numpy(pair):
    gains = iter(backbones.AVERAGE_POOLING_GAIN)

    def pool(blocks, axis):
        return np.mean(blocks, axis=axis) * next(gains)

    picture = pair[0][:32, :48]
    expected = oracles.vgg(picture, np.load(POCKET_FILE), how_to_pool=pool)
    check_activations(load_backbone("pocket", pooling="avg"), picture, expected)


@pytest.mark.parametrize("network, file", [("vgg16", "vgg16_to_block5_conv1"), ("vgg19", "vgg19_block1_to_block3")])
def test_the_real_networks_against_numpy(pair, shared, network, file):
    path = shared / "weights" / f"{file}.npz"
    picture = pair[0][:32, :40]
    net = load_backbone(network, path)
    assert net.layers[-1] == {"vgg16": "block5_conv1", "vgg19": "block3_conv4"}[network]
    check_activations(net, picture, oracles.vgg(picture, np.load(path)))


@pytest.mark.parametrize("network", ["pocket", "vgg16"])
def test_average_pooling_keeps_the_size_of_activations(pair, request, network):
    path = None
    if network == "vgg16":
        path = request.getfixturevalue("shared") / "weights" / "vgg16_to_block5_conv1.npz"
    sizes = {}
    for pooling in ("max", "avg"):
        seen = load_backbone(network, path, pooling=pooling)(pair[0], STYLE_LAYERS)
        sizes[pooling] = np.array([float(ops.sqrt(ops.mean(seen[layer] ** 2))) for layer in STYLE_LAYERS])
    np.testing.assert_allclose(sizes["avg"], sizes["max"], rtol=0.3)


def test_pictures_of_a_batch_do_not_mix(pair):
    net = load_backbone("pocket")
    one, other = pair[0][:32, :32], pair[1][:32, :32]
    both = net(np.stack([one, other]), ["block3_conv1"])["block3_conv1"]
    for index, picture in enumerate((one, other)):
        alone = net(picture, ["block3_conv1"])["block3_conv1"]
        np.testing.assert_allclose(both[index], alone[0], rtol=1e-4, atol=1e-2)


def test_a_network_is_read_once_and_again_when_its_file_has_changed(tmp_path):
    file = tmp_path / "net.npz"
    file.write_bytes(find_weights("pocket").read_bytes())
    net = load_backbone("pocket", file)
    assert load_backbone("pocket", file) is net and load_backbone("pocket", str(file)) is net
    assert load_backbone("pocket", file, pooling="avg") is not net
    file.write_bytes(b"another")
    with pytest.raises(WeightsError):
        load_backbone("pocket", file)


def test_nothing_deeper_than_the_deepest_layer_is_computed(pair):
    net = Backbone("pocket", read_weights(find_weights("pocket"), "pocket"), "max", "zeros", "float32")
    for layer in net.layers[net.layers.index("block3_conv2") + 1 :]:
        net._convolutions[layer] = lambda _, layer=layer: pytest.fail(f"{layer} was computed")
    seen = net(pair[0], ["block3_conv2", "block1_conv1", "block3_conv2"])
    assert set(seen) == {"block1_conv1", "block3_conv2"}


def test_bfloat16_is_nearly_the_same(pair):
    exact, short = (load_backbone("pocket", dtype=d)(pair[0], ["block4_conv2"]) for d in ("float32", "bfloat16"))
    assert "bfloat16" in str(short["block4_conv2"].dtype)
    exact, short = (ops.convert_to_numpy(ops.cast(s["block4_conv2"], "float32")) for s in (exact, short))
    assert 0 < oracles.relative_error(short, exact) < 1e-3


@pytest.mark.parametrize(
    "layers, message",
    [
        (["block4_conv4"], r"unknown layer of pocket 'block4_conv4': did you mean block4_conv\d"),
        (["conv4_2"], r"did you mean .*block4_conv2"),
        (["block5_conv2"], r"did you mean .*block5_conv1"),
        ([17], "unknown layer of pocket 17"),
        ([], "no layers given.*block1_conv1, block1_conv2"),
    ],
)
def test_a_wrong_layer_name_is_answered_with_the_nearest(pair, layers, message):
    net = load_backbone("pocket")
    with pytest.raises(SettingsError, match=message):
        net(pair[0], layers)
    with pytest.raises(SettingsError, match=message):
        net.check_layers(layers)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"name": "vgg18"}, r"unknown backbone 'vgg18': did you mean vgg1\d"),
        ({"name": "resnet"}, "unknown backbone 'resnet'.*There are pocket, vgg16, vgg19"),
        ({"pooling": "mean"}, "unknown pooling 'mean'.*There are max, avg"),
        ({"padding": "same"}, "unknown padding 'same'.*There are zeros, replicate"),
        ({"dtype": "float16"}, "unknown dtype 'float16': did you mean .*bfloat16"),
    ],
)
def test_unknown_settings_are_named(settings, message):
    with pytest.raises(SettingsError, match=message):
        load_backbone(**settings)


def test_the_environment_names_the_default(monkeypatch, tmp_path):
    assert load_backbone().name == "pocket"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("NST_BACKBONE", "vgg19")
    with pytest.raises(WeightsError, match="the weights of vgg19 are not on this machine"):
        load_backbone()
    assert load_backbone("pocket").name == "pocket"
    monkeypatch.setenv("NST_BACKBONE", "vgg91")
    with pytest.raises(SettingsError, match="unknown backbone 'vgg91': did you mean vgg19"):
        load_backbone()
    monkeypatch.setenv("NST_BACKBONE", "")
    assert load_backbone().name == "pocket"
