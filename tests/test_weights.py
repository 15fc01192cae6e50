"""Weights files: good ones of every format, every way one can be bad, and fetching them from a server that misbehaves."""

import hashlib
import http.server
import inspect
import shutil
import socket
import sys
import threading
from itertools import pairwise
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from nst_lib import weights
from nst_lib.backbones import load_backbone
from nst_lib.errors import SettingsError, WeightsError
from nst_lib.weights import POCKET_FILE, cached_file, fetch_weights, find_weights, layer_shapes, read_weights

BODY = np.random.default_rng(0).bytes(700_000)  # what the servers below send


@pytest.fixture
def pocket() -> dict[str, np.ndarray]:
    """The arrays of the pocket VGG's file, to be spoilt."""
    with np.load(POCKET_FILE) as file:
        return dict(file)


@pytest.fixture
def written(tmp_path):
    """A function that writes arrays to an .npz file and returns its path."""

    def write(arrays: dict[str, np.ndarray]) -> Path:
        path = tmp_path / "weights.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """A VGG16 of random weights as keras.applications makes it, and a folder with its weights in Keras' two formats."""
    folder = tmp_path_factory.mktemp("vgg16")
    keras.utils.set_random_seed(0)
    model = keras.applications.VGG16(include_top=False, weights=None)
    model.save_weights(folder / "new.weights.h5")
    with h5py.File(folder / "old.h5", "w") as file:  # laid out as the published file
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            arrays = dict(zip(("kernel", "bias"), layer.get_weights(), strict=False))
            names = [f"{layer.name}_{kind}_1:0" for kind in arrays]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays.values(), strict=True):
                group[name] = array
    yield model, folder
    shutil.rmtree(folder)


def test_the_pocket_file_is_read_as_it_is(pocket):
    arrays = read_weights(POCKET_FILE, "pocket")
    assert list(arrays) == list(layer_shapes("pocket"))
    for layer, parts in arrays.items():
        assert set(parts) == {"kernel", "bias", "head"}
        for kind, array in parts.items():
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, pocket[f"{layer}/{kind}"])
    assert sum(array.size for parts in arrays.values() for array in parts.values()) == 897_144


def test_layer_shapes_follow_from_one_another():
    for network, convolutions in (("pocket", 11), ("vgg16", 13), ("vgg19", 16)):
        shapes = list(layer_shapes(network).values())
        assert len(shapes) == convolutions and shapes[0][0] == 3
        assert all(after[0] == before[1] for before, after in pairwise(shapes))
    assert layer_shapes("vgg19")["block5_conv4"] == (512, 512)


def test_files_of_keras_are_read_and_give_the_activations_of_keras(vgg16, pair):
    model, folder = vgg16
    picture = pair[0][:32, :48]
    names = list(layer_shapes("vgg16"))
    with_names = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    expected = with_names([keras.applications.vgg16.preprocess_input(255 * picture[None])])
    for file in ("new.weights.h5", "old.h5"):
        net = load_backbone("vgg16", folder / file)
        assert net.layers == tuple(names)
        seen = net(picture, names)
        for name, activations in zip(names, expected, strict=True):
            activations = keras.ops.convert_to_numpy(activations)
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(seen[name]), activations, rtol=1e-3, atol=1e-5 * activations.max()
            )


def test_a_file_may_end_at_a_shallower_layer(pocket, written):
    shallow = {key: array for key, array in pocket.items() if key < "block3"}
    net = load_backbone("pocket", written(shallow))
    assert net.layers == ("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda w: w.pop("block2_conv1/bias"), "block2_conv1 has .*expected .*bias"),
        (lambda w: w.pop("block2_conv1/head"), "block2_conv1 has .*expected .*head"),
        (lambda w: [w.pop(f"block2_conv1/{kind}") for kind in ("kernel", "bias", "head")], "is not a file of pocket"),
        (lambda w: w.update({"block9_conv1/kernel": np.zeros(3)}), "is not a file of pocket"),
        (lambda w: w.clear(), "its layers are nothing"),
        (lambda w: w.update({"block1_conv1/kernel": w["block1_conv1/kernel"].T}), "block1_conv1 has .*24, 3, 3, 3"),
        (lambda w: w["block3_conv1/kernel"].put(5, np.nan), "block3_conv1/kernel holds NaN or infinite numbers"),
        (lambda w: w["block3_conv1/bias"].put(0, np.inf), "block3_conv1/bias holds NaN or infinite numbers"),
        (lambda w: w.update({"block1_conv1/bias": np.array(["text"] * 24)}), "could not be read as weights of pocket"),
        (lambda w: w.update({"block1_conv1/bias": np.array([None] * 24)}), "could not be read as weights of pocket"),
    ],
)
def test_spoilt_arrays(pocket, written, spoil, message):
    spoil(pocket)
    path = written(pocket)
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(path, "pocket")
    assert str(path) in str(caught.value)


def test_a_file_of_another_network(pocket, written):
    with pytest.raises(WeightsError, match="is not a file of vgg16: block1_conv1 has"):
        load_backbone("vgg16", POCKET_FILE)
    real = {f"{layer}/kernel": np.zeros((1,)) for layer in layer_shapes("vgg19")}
    with pytest.raises(WeightsError, match="is not a file of vgg16: its layers are"):
        read_weights(written(real), "vgg16")


def test_a_real_file_of_another_network(shared):
    with pytest.raises(WeightsError, match="is not a file of vgg16"):
        read_weights(shared / "weights" / "vgg19_block1_to_block3.npz", "vgg16")


@pytest.mark.parametrize("position", np.linspace(0.01, 0.999, 12))
def test_a_damaged_npz(tmp_path, position):
    """Flipped bits anywhere but in what nothing reads give a WeightsError or are made good; never anything else."""
    data = bytearray(POCKET_FILE.read_bytes())
    middle = int(position * len(data))
    data[middle : middle + 64] = bytes(byte ^ 0xFF for byte in data[middle : middle + 64])
    path = tmp_path / "weights.npz"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="could not be read as weights of pocket|is not a file of pocket"):
        read_weights(path, "pocket")


def test_a_damaged_compressed_npz(tmp_path, pocket):
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, **pocket)
    data = bytearray(path.read_bytes())
    data[1000:1100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="could not be read as weights of pocket"):
        read_weights(path, "pocket")


def test_an_npz_that_claims_to_be_encrypted(tmp_path):
    data = bytearray(POCKET_FILE.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last file's entry in the table of contents
    data[entry + 8] |= 1
    path = tmp_path / "weights.npz"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="could not be read as weights of pocket"):
        read_weights(path, "pocket")


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_npz(tmp_path, share):
    path = tmp_path / "weights.npz"
    data = POCKET_FILE.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"could not be read as weights of pocket: .*another network. Copy it again"):
        read_weights(path, "pocket")


@pytest.mark.parametrize("file", ["new.weights.h5", "old.h5"])
@pytest.mark.parametrize("share", [0, 0.00001, 0.5])
def test_a_truncated_h5(vgg16, tmp_path, file, share):
    whole, path = vgg16[1] / file, tmp_path / file
    with open(whole, "rb") as source:
        path.write_bytes(source.read(int(share * whole.stat().st_size)))
    with pytest.raises(WeightsError, match=r"could not be read as weights of vgg16: .*another network. Copy it again"):
        read_weights(path, "vgg16")


def test_only_what_was_fetched_is_to_be_deleted_and_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = cached_file("vgg16")
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="another network. Delete it and run `nst fetch vgg16`"):
        read_weights(path, "vgg16")


@pytest.mark.parametrize(("name", "network"), [("vgg16.weights.h5", "vgg16"), ("mine.h5", "vgg19")])
def test_a_file_of_keras_is_not_of_the_pocket_network(tmp_path, name, network):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(
        WeightsError, match=f"{name} is not a file of pocket, the network chosen.*--backbone {network} "
    ):
        read_weights(tmp_path / name, "pocket")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_an_h5_file_of_another_network(tmp_path):
    other = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(64, 3)])  # begins like VGG19
    other.save_weights(tmp_path / "other.weights.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["numbers"] = np.arange(3)
    for name in ("other.weights.h5", "other.h5"):
        with pytest.raises(WeightsError, match="could not be read as weights of vgg19"):
            read_weights(tmp_path / name, "vgg19")


def test_other_files(tmp_path):
    text = tmp_path / "weights.txt"
    text.write_text("not weights")
    for name in ("weights.npz", "weights.h5", "weights.weights.h5"):
        shutil.copy(text, tmp_path / name)
        with pytest.raises(WeightsError, match="could not be read as weights of vgg16"):
            read_weights(tmp_path / name, "vgg16")
    with pytest.raises(WeightsError, match="could not be read as weights of vgg16"):
        read_weights(text, "vgg16")
    with pytest.raises(WeightsError, match=r"only \.npz files hold the pocket network"):
        read_weights(text, "pocket")
    single = tmp_path / "single.npz"
    with open(single, "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(WeightsError, match="could not be read as weights of vgg16"):
        read_weights(single, "vgg16")


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(WeightsError, match=r"no weights file .*nst fetch vgg19") as caught:
            load_backbone("vgg19", path)
        assert str(path) in str(caught.value)


def test_find_weights_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert find_weights("pocket") == POCKET_FILE
    with pytest.raises(WeightsError, match=r"Run `nst fetch vgg16`.*--weights.*pocket VGG") as caught:
        find_weights("vgg16")
    expected = tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert str(expected) in str(caught.value)
    expected.parent.mkdir()
    expected.touch()
    assert find_weights("vgg16") == expected


def test_the_downloads_are_those_of_keras():
    for network, constructor in (("vgg16", keras.applications.VGG16), ("vgg19", keras.applications.VGG19)):
        source = inspect.getsource(sys.modules[constructor.__module__])
        url, md5 = weights.DOWNLOADS[network]
        assert f"{network}/{url.rsplit('/', 1)[1]}" in source.replace('"\n    "', "") and md5 in source


class Server(http.server.ThreadingHTTPServer):
    """A server on this machine with one file. `habit` is how it misbehaves; `ranges` what it was asked for."""

    def __init__(self, habit: str = ""):
        super().__init__(("127.0.0.1", 0), Handler)
        self.habit, self.ranges = habit, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.h5"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        habit, body, status = self.server.habit, BODY, 200
        if habit == "gone":
            return self.send_error(404)
        if habit == "garbage":
            self.wfile.write(b"I am not a web server\r\n\r\n")
            return None
        if wanted and habit != "no ranges":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self.send_error(416)
            body, status = body[start:], 206
        self.send_response(status)
        if habit == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if habit == "chunked":  # and breaks off within a chunk
            self.wfile.write(b"7D000\r\n" + body[:300_000])
        else:
            self.wfile.write(body[: len(body) // 2] if habit == "cuts" else body)
        return None

    def log_message(self, *_):
        """Keep the tests' output clean."""


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A function that starts a server with a habit, from which vgg16 is then fetched into a fresh folder."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    started = []

    def start(habit: str = "", md5: str | None = None) -> Server:
        server = Server(habit)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        started.append(server)
        monkeypatch.setitem(weights.DOWNLOADS, "vgg16", (server.url, md5 or hashlib.md5(BODY).hexdigest()))
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def part() -> Path:
    path = cached_file("vgg16")
    return path.with_name(path.name + ".part")


def test_fetching(serve, tmp_path, capfd):
    server = serve()
    path = fetch_weights("vgg16")
    assert path == cached_file("vgg16") == tmp_path / "models" / "weights.h5"
    assert path.read_bytes() == BODY and not part().exists()
    assert "100%" in capfd.readouterr().err  # the progress bar
    assert fetch_weights("vgg16", progress=False) == path
    assert server.ranges == [None]  # not fetched again
    path.write_bytes(b"damaged")
    assert fetch_weights("vgg16", progress=False).read_bytes() == BODY
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("habit", ["", "no ranges"])
def test_fetching_goes_on_where_it_stopped(serve, habit):
    server = serve(habit)
    part().parent.mkdir()
    part().write_bytes(BODY[:123_456])
    assert fetch_weights("vgg16", progress=False).read_bytes() == BODY
    assert server.ranges == ["bytes=123456-"] and not part().exists()


def test_fetching_what_is_all_here_but_for_its_name(serve):
    server = serve()
    part().parent.mkdir()
    part().write_bytes(BODY)
    assert fetch_weights("vgg16", progress=False).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY)}-"] and not part().exists()


def test_a_cut_connection_keeps_what_has_arrived(serve):
    serve("cuts")
    with pytest.raises(WeightsError, match=r"connection ended after 350000 of 700000 bytes.*kept.*again to go on"):
        fetch_weights("vgg16", progress=False)
    assert part().read_bytes() == BODY[: len(BODY) // 2] and not cached_file("vgg16").exists()
    mended = serve()
    assert fetch_weights("vgg16", progress=False).read_bytes() == BODY
    assert mended.ranges == ["bytes=350000-"]


@pytest.mark.parametrize("habit, message", [("gone", "Not Found"), ("garbage", "not a web server"), ("chunked", "")])
def test_a_server_that_answers_wrongly(serve, habit, message):
    url = serve(habit).url
    with pytest.raises(WeightsError, match=f"could not download vgg16: .*{message}") as caught:
        fetch_weights("vgg16", progress=False)
    assert url in str(caught.value) and not cached_file("vgg16").exists()


def test_the_wrong_file_is_deleted(serve):
    url = serve(md5="0" * 32).url
    with pytest.raises(WeightsError, match=r"is not the published file \(its MD5 sum differs\); deleted") as caught:
        fetch_weights("vgg16", progress=False)
    assert url in str(caught.value)
    assert not part().exists() and not cached_file("vgg16").exists()


def test_without_a_network_the_message_names_the_file_and_where_to_put_it(tmp_path, monkeypatch, serve):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/weights.h5"
    monkeypatch.setitem(weights.DOWNLOADS, "vgg16", (url, "0" * 32))
    with pytest.raises(WeightsError, match="could not download vgg16: .*refused") as caught:
        fetch_weights("vgg16", progress=False)
    assert f"download\n  {url}\nelsewhere and put it at\n  {cached_file('vgg16')}" in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch, serve):
    serve()
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="could not download vgg16: .*(Not a directory|File exists)"):
        fetch_weights("vgg16", progress=False)


@pytest.mark.parametrize("network", ["pocket", "vgg18"])
def test_what_is_not_to_be_fetched(network):
    with pytest.raises(SettingsError, match=f"nothing to fetch for '{network}': choose from vgg16, vgg19"):
        fetch_weights(network)
