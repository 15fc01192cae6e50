"""Starting the engine, in processes of their own."""

import importlib.util
import os
import subprocess
import sys

import pytest

from nst_lib.engine import PACKAGES


def run(script: str, **environment: str) -> subprocess.CompletedProcess:
    """Run Python on `script`, with nothing in the environment that would quieten an engine."""
    inherited = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=inherited | environment, timeout=120
    )


def test_names_of_the_package_start_the_engine_without_a_word_when_they_are_used():
    """And what is written to stderr afterwards is seen, and garbage is collected."""
    script = (
        "import gc, os, sys, nst_lib; nst_lib.load_image, nst_lib.SettingsError; print('keras' in sys.modules); "
        "nst_lib.gram_matrix; print('keras' in sys.modules)\n"
        "from nst_lib.engine import start_engine; print(start_engine(), start_engine()); os.write(2, b'seen')\n"
        "print(gc.isenabled())"
    )
    result = run(script)
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    assert result.returncode == 0
    assert result.stdout == f"False\nTrue\n{name} {name}\nTrue\n" and result.stderr == "seen"


def test_a_missing_engine_is_a_sentence():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        pytest.skip("all three engines are installed")
    script = (
        "import nst_lib\ntry: nst_lib.load_backbone()\nexcept nst_lib.SettingsError as problem: print(problem)\n"
        "import os; os.write(2, b'|')"
    )
    result = run(script, KERAS_BACKEND=missing[0])
    assert f"the engine {missing[0]} cannot be imported" in result.stdout
    assert f"Run `pip install {missing[0]}`" in result.stdout
    assert "KERAS_BACKEND=tensorflow or torch or jax" in result.stdout
    assert "Traceback" not in result.stderr and result.stderr.endswith("|")


@pytest.mark.parametrize("name", ["tensorflw", "numpy"])
def test_an_unknown_engine_is_a_sentence(name):
    script = "import nst_lib\ntry: nst_lib.load_backbone()\nexcept nst_lib.SettingsError as problem: print(problem)\n"
    result = run(script, KERAS_BACKEND=name)
    assert f"the engine '{name}'" in result.stdout and "KERAS_BACKEND=tensorflow or torch or jax" in result.stdout
    assert result.stderr == ""


def test_mixed_engines_in_one_process_are_a_sentence():
    script = (
        "import os, keras\nbefore = keras.backend.backend()\n"
        "os.environ['KERAS_BACKEND'] = 'jax' if before == 'torch' else 'torch'\n"
        "import nst_lib\ntry: nst_lib.load_backbone()\nexcept nst_lib.SettingsError as problem: print(before, problem)\n"
        "os.environ['KERAS_BACKEND'] = before; print(nst_lib.load_backbone().name)"
    )
    result = run(script)
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    other = "jax" if name == "torch" else "torch"
    assert f"{name} KERAS_BACKEND is {other}, but Keras was imported before" in result.stdout
    assert f"and runs on {name}. One process has one engine: start Python" in result.stdout
    assert result.stdout.endswith("\npocket\n") and "Traceback" not in result.stderr


def test_a_missing_engine_is_the_same_sentence_again():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if not missing:
        pytest.skip("all three engines are installed")
    script = (
        "import nst_lib\nfor _ in range(2):\n"
        "  try: nst_lib.load_backbone()\n  except nst_lib.SettingsError as problem: print(problem)\n"
    )
    first, again = run(script, KERAS_BACKEND=missing[0]).stdout.splitlines()
    assert first == again
