"""`nst studio`: what is served, to whom, and what is said where it cannot be."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("anywidget", reason="panels come with the extra course")

from conftest import ROOT

from nst_lib import save_image
from nst_lib.errors import SettingsError
from nst_lib.studio import app


@pytest.fixture
def photograph(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return save_image(pair[0], "me.png")


def test_panels_are_made_when_their_tab_is_opened(photograph):
    heading, tabs = app.build_page("me.png", "me.png").children
    assert "studio" in heading.value
    first, second = tabs.children[0].children[0], tabs.get_title(0)
    assert type(first).__name__ == "FastStudio" and second == "Styles at once"
    webcam = tabs.titles.index("Webcam")
    assert "A moment" in tabs.children[webcam].children[0].value
    tabs.selected_index = webcam
    (panel,) = tabs.children[webcam].children
    assert type(panel).__name__ == "WebcamStudio"
    tabs.selected_index = 0
    tabs.selected_index = webcam
    assert tabs.children[webcam].children == (panel,) and tabs.children[0].children == (first,)
    first.worker.wait(60)


def test_what_goes_wrong_is_on_the_page(photograph, monkeypatch):
    photograph.write_bytes(b"<b>no picture</b>")
    _, tabs = app.build_page("me.png", "me.png").children
    assert "me.png is not a picture of a known kind" in tabs.children[0].children[0].value

    def explode(_):
        raise MemoryError  # which says nothing more

    monkeypatch.setattr("nst_lib.studio.fast_studio", explode)
    _, tabs = app.build_page("me.png", "me.png").children
    assert "MemoryError" in tabs.children[0].children[0].value


def test_the_page_runs_in_the_working_directory(photograph, tmp_path):
    (tmp_path / "page").mkdir()
    path = app.write_page(tmp_path / "page", photograph, photograph)
    (cell,) = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert cell["source"].endswith("build_page('me.png', 'me.png')")
    code = cell["source"].rpartition("\n")[0] + "\nprint(os.getcwd())"
    run = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True, timeout=120)
    assert os.path.samefile(run.stdout.strip(), tmp_path)


def test_ports(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is in use.*--port"):
            app.find_port(port)
        monkeypatch.setattr(app, "PORT", port)
        assert port < app.find_port(None) < port + app.PORTS
    assert app.find_port(0) > 0
    for number in (70_000, -1):
        with pytest.raises(SettingsError, match="from 1024 to 65535"):
            app.find_port(number)


@pytest.mark.parametrize("missing", ["voila", "anywidget"])
def test_what_is_not_installed_is_named(missing, nst, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    result = nst("studio")
    assert result.code == 2 and f"needs {missing}: pip install" in result.err


def test_bad_pictures_are_refused_before_anything_starts(nst, tmp_path, monkeypatch):
    pytest.importorskip("voila", reason="the page is served by voila, of the extra course")
    monkeypatch.setattr(app, "serve", lambda *_: pytest.fail("it was served"))
    assert "does not exist" in nst("studio", tmp_path / "none.jpg").err
    assert "does not exist" in nst("studio", ROOT / "data/content/chelsea_cat.jpg", "--style", "none.jpg").err
    monkeypatch.chdir(tmp_path)
    result = nst("studio")
    assert result.code == 2 and "nst studio PICTURE --style PAINTING" in result.err


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_served_to_this_machine_only_until_it_is_ended(ending, tmp_path):
    pytest.importorskip("voila", reason="the page is served by voila, of the extra course")
    if sys.platform == "win32":
        pytest.skip("Windows has no signals to end it by; Ctrl-C in the terminal does")
    command = [sys.executable, "-m", "nst_lib", "studio", "--no-browser"]
    own = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            address = server.stdout.readline().split()[4]
            host, port = address.removeprefix("http://").strip("/").split(":")
            assert host == "127.0.0.1"
            with urllib.request.urlopen(address, timeout=120) as page:
                assert page.status == 200 and b"voila" in page.read()
            others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)} - {"127.0.0.1", "::1"}
            for other in others:
                with pytest.raises(OSError):
                    socket.create_connection((other, int(port)), timeout=2)
            with pytest.raises(urllib.error.HTTPError):  # nothing but the page: no notebooks, no files
                urllib.request.urlopen(f"{address}api/contents", timeout=30)
        finally:
            server.send_signal(ending)
        try:
            assert server.wait(30) == 0
        finally:
            server.kill()
        assert "nst_lib" not in server.stderr.read()  # Jupyter may complain that it is ended; we do not
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("nst_studio_")]
