"""Gradients and compilation, on whichever engine runs."""

import keras
import numpy as np
import pytest
from keras import ops

from nst_lib import autodiff


def test_value_aux_and_gradient():
    x = ops.array([1.0, 2.0, 3.0])
    value, aux, gradient = autodiff.value_and_gradient(lambda x: (ops.sum(x**3), {"double": 2 * x}), x)
    assert float(value) == 36
    np.testing.assert_allclose(ops.convert_to_numpy(aux["double"]), [2, 4, 6])
    np.testing.assert_allclose(ops.convert_to_numpy(gradient), [3, 12, 27])


def test_a_compiled_gradient_is_the_same_and_takes_nested_arguments_of_any_shape():
    def loss(arguments, power):
        x, (weight,) = arguments["x"], arguments["more"]
        return autodiff.value_and_gradient(lambda x: (ops.sum(weight * x**power), ops.max(x)), x)

    compiled = autodiff.compile_function(loss)
    for size in (3, 5, 3):
        x = np.arange(1, size + 1, dtype="float32")
        value, aux, gradient = compiled({"x": ops.array(x), "more": (ops.array(0.5),)}, ops.array(2.0))
        assert float(value) == pytest.approx(np.sum(x**2) / 2)
        assert float(aux) == size
        np.testing.assert_allclose(ops.convert_to_numpy(gradient), x, rtol=1e-6)


def test_a_compiled_function_sees_new_values_of_its_arguments():
    compiled = autodiff.compile_function(lambda x, weight: weight * x)
    assert [float(compiled(ops.array(2.0), ops.array(weight))) for weight in (1.0, 3.0)] == [2, 6]


def test_what_comes_back_can_go_in_again_and_holds_no_graph():
    compiled = autodiff.compile_function(
        lambda x: x - 0.1 * autodiff.value_and_gradient(lambda x: (ops.sum(x**2), ops.zeros(())), x)[2]
    )
    x = ops.array([1.0, -1.0])
    for _ in range(3):
        x = compiled(x)
    np.testing.assert_allclose(ops.convert_to_numpy(x), [0.8**3, -(0.8**3)], rtol=1e-6)
    assert not getattr(x, "requires_grad", False)


def test_the_engine_is_the_one_that_keras_runs_on():
    assert keras.backend.backend() == autodiff.ENGINE
    assert isinstance(autodiff.gpus(), list)


def test_bfloat16_pays_on_gpus_and_on_tensorflow_with_the_instructions(monkeypatch):
    real = autodiff.bfloat16_pays.__wrapped__  # without the cache
    monkeypatch.setattr(autodiff, "gpus", lambda: ["a GPU"])
    assert real()
    monkeypatch.setattr(autodiff, "gpus", list)
    monkeypatch.setattr(autodiff.platform, "machine", lambda: "riscv64")
    assert not real()
    monkeypatch.setattr(autodiff.platform, "machine", lambda: "x86_64")
    for flags, expected in (("fma avx2", False), ("fma avx512_bf16", True), ("amx_bf16 avx2", True)):
        monkeypatch.setattr(autodiff.Path, "exists", lambda _: True)
        monkeypatch.setattr(autodiff.Path, "read_text", lambda _, flags=flags: f"flags\t\t: {flags}\n")
        assert real() == (expected and autodiff.ENGINE == "tensorflow")
