"""Starting the engine that Keras runs on: without its start-up chatter, and with a plain word where it is missing."""

import gc
import os
import sys
import tempfile

from nst_lib.errors import SettingsError

# The package that brings each of Keras' engines.
PACKAGES = {"tensorflow": "tensorflow", "torch": "torch", "jax": "jax"}
_OTHERS = f"choose another: KERAS_BACKEND={' or '.join(PACKAGES)}."


def start_engine() -> str:
    """Import Keras and its engine, and return the engine's name.

    TensorFlow writes lines about the CPU to the terminal whatever one asks for. They are held back, and shown only if
    the start fails.

    Raises:
        SettingsError: if the engine is not installed or not one of `PACKAGES`, or Keras already runs on another.
    """
    if "keras" not in sys.modules:
        _check_known(os.environ.get("KERAS_BACKEND") or "tensorflow")  # here, as Keras would not say what is wrong
        _import_quietly()
    engine = sys.modules["keras"].backend.backend()
    _check_known(engine)  # ~/.keras/keras.json can name one, too
    wanted = os.environ.get("KERAS_BACKEND") or engine
    if wanted != engine:
        raise SettingsError(
            f"KERAS_BACKEND is {wanted}, but Keras was imported before that was set, and runs on {engine}. One process has "
            "one engine: start Python (or the notebook's kernel) again, and set KERAS_BACKEND before anything imports Keras."
        )
    return engine


def _check_known(engine: str) -> None:
    if engine not in PACKAGES:
        raise SettingsError(f"the engine {engine!r} (from KERAS_BACKEND or keras.json) cannot paint: {_OTHERS}")


def _import_quietly() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        terminal = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        collecting = gc.isenabled()
        gc.disable()  # looking through all that is imported for garbage, of which there is none, takes an eighth of the time
        try:
            import keras

            keras.ops.zeros(())  # makes the engine look for its devices, about which it also has something to say
        except Exception as problem:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            if not isinstance(problem, ImportError):
                raise
            name = os.environ.get("KERAS_BACKEND") or "tensorflow"
            raise SettingsError(
                f"the engine {name} cannot be imported ({problem}). Run `pip install {PACKAGES[name]}`, or {_OTHERS}"
            ) from problem
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            if collecting:
                gc.enable()
