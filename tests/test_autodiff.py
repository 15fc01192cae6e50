"""Gradients and compilation, on whichever engine runs."""

import keras
import numpy as np
import pytest
from keras import ops

from nst_lib import autodiff, hardware
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.objective import Objective
from nst_lib.optimizers import LBFGS, Adam


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


def test_a_compiled_function_can_be_part_of_another_and_has_a_gradient():
    square = autodiff.compile_function(lambda x: ops.sum(x**2))
    x = ops.array([1.0, 2.0])
    assert float(autodiff.compile_function(lambda x: 3 * square(x))(x)) == 15
    assert float(autodiff.compile_function(lambda y: square(x) + y)(ops.array(1.0))) == 6  # of what is known before
    if autodiff.ENGINE != "torch":  # where a compiled function keeps no graph
        gradient = autodiff.value_and_gradient(lambda x: (square(x), ops.zeros(())), x)[2]
        np.testing.assert_array_equal(ops.convert_to_numpy(gradient), [2, 4])


@pytest.mark.skipif(autodiff.ENGINE != "jax", reason="an option of XLA's")
def test_what_this_xla_does_not_know_is_not_asked_of_it(monkeypatch):
    asked = []

    def refuse(function, compiler_options):
        asked.append(compiler_options)
        raise autodiff.jax.errors.JaxRuntimeError("INVALID_ARGUMENT: No such compile option")

    find = autodiff._compiler_options.__wrapped__  # without the cache
    assert find() == {"xla_cpu_use_fusion_emitters": False}, "this one knows it"
    with monkeypatch.context() as patched:
        patched.setattr(autodiff.jax, "jit", refuse)
        assert find() is None and len(asked) == 1
    monkeypatch.setattr(autodiff, "gpus", lambda: ["a GPU"])
    assert find() is None


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


@pytest.mark.parametrize("condition, expected", [(True, 3.0), (False, 4.0)])
def test_choose_in_a_compiled_function(condition, expected):
    compiled = autodiff.compile_function(
        lambda condition, x: autodiff.choose(condition, lambda: {"y": (x + 1,)}, lambda: {"y": (x * 2,)})
    )
    assert float(compiled(ops.array(condition), ops.array(2.0))["y"][0]) == expected


@pytest.mark.parametrize("values", [1000, 3, 1])
@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 7, 5, 4)])
def test_pooling_and_its_gradient_are_keras_own(shape, values):
    """Also where values are equal, as in flat pictures, and all or one could have the gradient: it is the first one."""
    x = np.random.default_rng(0).integers(0, values, shape).astype("float32")
    weights = ops.array(np.random.default_rng(1).random((shape[0], shape[1] // 2, shape[2] // 2, shape[3]), "float32"))
    found, expected = (
        autodiff.compile_function(
            lambda x, pool=pool: autodiff.value_and_gradient(lambda x: (ops.sum(weights * pool(x)), pool(x)), x)[1:]
        )(ops.array(x))
        for pool in (autodiff.max_pool, lambda x: ops.max_pool(x, 2, strides=2))
    )
    for ours, keras_own in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), ops.convert_to_numpy(keras_own))


@pytest.mark.skipif(autodiff.ENGINE != "jax", reason="TensorFlow branches anywhere; PyTorch has a test of its own")
def test_jax_paints_on_a_gpu_as_without(monkeypatch):
    """There, both branches are computed, and one is chosen."""
    step, start = style_step(LBFGS(memory=3))
    branching = losses_of(step, start, 8)
    monkeypatch.setattr(autodiff, "gpus", lambda: ["a GPU"])
    step, start = style_step(LBFGS(memory=3))
    np.testing.assert_allclose(losses_of(step, start, 8), branching, rtol=1e-4)


def style_step(optimizer):
    """A compiled step `state -> (state, loss)` of an optimiser on a style loss, and the state to start from."""
    random = np.random.default_rng(0)
    content, style = random.random((2, 48, 40, 3)).astype("float32")
    objective = Objective((CONTENT_LAYER,), STYLE_LAYERS, "gram")
    backbone = load_backbone("pocket", padding="replicate")
    targets = objective.targets(backbone, content, [style], [1.0])
    weights = objective.weight_vector(1.0, 1.0, 0.5, dict.fromkeys(STYLE_LAYERS, 1.0))
    step = optimizer.compile(objective.on(backbone, smooth=True))
    # its x and its best are one tensor
    return lambda state: step(state, weights, targets)[:2], optimizer.start(ops.array(content[None]))


def losses_of(step, state, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        state, loss = step(state)
        losses.append(float(loss))
    return losses


@pytest.mark.skipif(autodiff.ENGINE != "torch", reason="the other engines compile on a processor, too")
@pytest.mark.parametrize("optimizer", [Adam(), LBFGS(memory=3)], ids=["adam", "lbfgs"])
def test_what_pytorch_compiles_for_a_gpu_paints_as_without(monkeypatch, optimizer):
    """A whole step, traced as for a GPU. Compiling itself is left out, as it needs a compiler and half a minute."""
    import torch

    plain = losses_of(*style_step(optimizer), 8)
    graphs = []
    monkeypatch.setattr(autodiff, "COMPILES", True)
    monkeypatch.setattr(torch, "compile", lambda graph, **_: graphs.append(graph) or graph)
    np.testing.assert_allclose(losses_of(*style_step(optimizer), 8), plain, rtol=1e-4)
    assert len(graphs) == 1  # traced once, though the steps' pictures come back from it
    called = {str(node.target) for node in graphs[0].graph.nodes}
    assert not any("local_scalar" in name for name in called), called  # nothing waits for the device
    computed = [node for node in graphs[0].graph.nodes if node.op == "call_function" and node.all_input_nodes]
    for node in computed:  # nothing is done at every step that could be done once
        assert any(value.op != "get_attr" for value in node.all_input_nodes), node


def test_bfloat16_is_for_gpus_and_for_processors_that_are_fast_in_it(monkeypatch):
    monkeypatch.setattr(autodiff, "has_fast_bfloat16", lambda: None)
    monkeypatch.setattr(autodiff, "gpus", lambda: ["a GPU"])
    assert autodiff.fastest_dtype() == "bfloat16"
    monkeypatch.setattr(autodiff, "gpus", list)
    assert autodiff.fastest_dtype() == "float32"
    monkeypatch.setattr(autodiff, "has_fast_bfloat16", lambda: True)
    assert autodiff.fastest_dtype() == ("float32" if autodiff.ENGINE == "jax" else "bfloat16")


@pytest.mark.parametrize(
    "vendor, flags, expected",
    [
        ("AuthenticAMD", "fma avx2", False),
        ("AuthenticAMD", "fma avx512_bf16", True),
        ("GenuineIntel", "fma avx512_bf16", False),
        ("GenuineIntel", "avx512_bf16 amx_bf16", True),
    ],
)
def test_what_a_processor_says_of_bfloat16(monkeypatch, vendor, flags, expected):
    real = hardware.has_fast_bfloat16.__wrapped__  # without the cache
    monkeypatch.setattr(hardware.platform, "machine", lambda: "riscv64")
    assert real() is None
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(hardware.Path, "exists", lambda _: True)
    monkeypatch.setattr(hardware.Path, "read_text", lambda _: f"vendor_id\t: {vendor}\nflags\t\t: {flags}\n")
    assert real() is expected
