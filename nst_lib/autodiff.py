"""What differs between the engines: compiling a function, and its gradient, on TensorFlow, PyTorch or JAX; and several
processes at work together, on JAX.

Keras 3 gives every engine the same `keras.ops`; it does not give gradients with respect to a picture. These lines do.
"""

import inspect
import threading
from collections.abc import Callable, Sequence
from functools import cache, partial, reduce, wraps
from typing import Any

import keras
import numpy as np

from nst_lib.hardware import has_fast_bfloat16

ENGINE = keras.backend.backend()
max_pool: Callable[[Any], Any] = partial(keras.ops.max_pool, pool_size=2, strides=2)  # JAX has its own
OUT_OF_MEMORY_SIGNS = ("RESOURCE_EXHAUSTED", "can't allocate memory")  # JAX's words, and PyTorch's on a processor


def _choose_of_both(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    return keras.tree.map_structure(lambda a, b: keras.ops.where(condition, a, b), yes(), no())


if ENGINE == "tensorflow":
    import tensorflow as tf

    OUT_OF_MEMORY: tuple[type[BaseException], ...] = (tf.errors.ResourceExhaustedError,)

    def compile_function(function: Callable) -> Callable:
        """A pure function of tensors (nested in tuples, dicts or lists), compiled. Traced anew for new shapes."""
        return tf.function(function, autograph=False, jit_compile=False)

    choose = keras.ops.cond

    def value_and_gradient(function: Callable, x: Any) -> tuple[Any, Any, Any]:
        """`(value, aux, d value / d x)` for a `function(x)` that returns a scalar `value` and anything as `aux`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            value, aux = function(x)
        return value, aux, tape.gradient(value, x)

    def gpus() -> list[str]:
        """The names of the GPUs that the engine sees."""
        return [device.name for device in tf.config.list_physical_devices("GPU")]

elif ENGINE == "torch":
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    OUT_OF_MEMORY = (torch.OutOfMemoryError,)
    COMPILES = torch.cuda.is_available()
    RECORDING = threading.RLock()  # held while a graph is recorded or started
    GRAPHS_MEMORY = torch.cuda.graph_pool_handle() if COMPILES else None

    def compile_function(function: Callable) -> Callable:
        """A pure function of tensors (nested in tuples, dicts or lists), compiled where there is a GPU. Traced anew for new
        shapes: `torch.compile` alone would stumble over Keras and over a gradient inside, so it is given the bare operations.
        """

        def even(*arguments: Any) -> Any:
            """With results all laid out alike: what takes them would be compiled anew, or add up in another order."""
            return keras.tree.map_structure(torch.Tensor.contiguous, function(*arguments))

        if not COMPILES:
            return torch.no_grad()(even)
        compiled: dict[Any, Callable] = {}

        @torch.no_grad()
        def run(*arguments: Any) -> Any:
            kind = tuple((leaf.shape, leaf.dtype) for leaf in keras.tree.flatten(arguments))
            with RECORDING:
                if kind not in compiled:
                    apart = keras.tree.map_structure(torch.clone, arguments)  # a tensor given twice would count as one
                    compiled[kind] = torch.compile(_fold_constants(make_fx(even)(*apart)), dynamic=False)
                    if GRAPHS_MEMORY:
                        compiled[kind] = _record(compiled[kind], apart)
                return compiled[kind](*arguments)

        return run

    def _fold_constants(graph: Any) -> Any:
        """A traced graph without the operations on constants alone: above all, it would copy numpy's arrays to the GPU, and
        wait for that, every time. Their results are constants of the graph instead."""
        known = {}
        for node in graph.graph.nodes:
            inputs = node.all_input_nodes
            if node.op == "get_attr":
                known[node] = getattr(graph, node.target)
            elif node.op == "call_function" and inputs and all(value in known for value in inputs):
                arguments, options = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
                known[node] = node.target(*arguments, **options)
        for count, (node, value) in enumerate(known.items()):
            if node.op == "call_function" and torch.is_tensor(value):
                graph.register_buffer(f"folded_{count}", value)
                with graph.graph.inserting_before(node):
                    node.replace_all_uses_with(graph.graph.get_attr(f"folded_{count}"))
        graph.graph.eliminate_dead_code()
        graph.recompile()
        return graph

    def _record(function: Callable, arguments: Any) -> Callable:
        """A compiled function's kernels as a CUDA graph, started at once: to start its some two hundred one by one took three
        times as long as they do. It works in memory of its own, which all graphs share, as only one runs at a time."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")  # tf32, as in convolutions, and as JAX does it
        try:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):  # compile, and let the libraries prepare what may not be recorded
                for _ in range(2):
                    function(*arguments)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=GRAPHS_MEMORY):
                results = function(*arguments)
        finally:
            torch.set_float32_matmul_precision(before)

        # The graph knows where the function's constants lie, but does not keep them; so it is kept beside it.
        def replay(*new: Any, kept: Any = function) -> Any:
            keras.tree.map_structure(torch.Tensor.copy_, arguments, new)
            graph.replay()
            return keras.tree.map_structure(torch.clone, results)

        return replay

    def choose(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        """`yes()` where a scalar condition holds, else `no()`. A GPU computes both, as it would have to be waited for."""
        if not COMPILES:
            return yes() if condition else no()
        return _choose_of_both(condition, yes, no)

    def value_and_gradient(function: Callable, x: Any) -> tuple[Any, Any, Any]:
        """`(value, aux, d value / d x)` for a `function(x)` that returns a scalar `value` and anything as `aux`."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value, aux = function(x)
            (gradient,) = torch.autograd.grad(value, x)
        return (
            value.detach(),
            keras.tree.map_structure(lambda leaf: leaf.detach() if torch.is_tensor(leaf) else leaf, aux),
            gradient,
        )

    def gpus() -> list[str]:
        """The names of the GPUs that the engine sees."""
        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]

elif ENGINE == "jax":
    import jax
    import jax.numpy as jnp
    from jax.experimental import multihost_utils

    OUT_OF_MEMORY = ()  # its errors differ in their words only

    def compile_function(function: Callable) -> Callable:
        """A pure function of tensors (nested in tuples, dicts or lists), compiled. Traced anew for new shapes."""
        return _compile(function)

    def _compile(function: Callable, settings: tuple[int, ...] = ()) -> Callable:
        """The same, of which the arguments number `settings` are no tensors: traced anew for new values of those, too."""

        @cache  # not before it is called: a process that is to meet others must have computed nothing
        def compiled() -> Callable:
            return jax.jit(function, static_argnums=settings, compiler_options=_compiler_options())

        def run(*arguments: Any) -> Any:
            # One that is part of another, or of a gradient, may have no options. Within another, a zero is traced, too.
            leaves = jax.tree.leaves((arguments, _compiler_options() and jnp.zeros(())))
            return (function if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves) else compiled())(*arguments)

        return run

    @cache
    def _compiler_options() -> dict[str, bool] | None:
        """On a processor, XLA's older way to make kernels: it compiles in two thirds of the time what runs as fast (see
        docs/engines.md). None on a GPU, and where XLA knows no such option, or does no longer."""
        if gpus():
            return None
        options = {"xla_cpu_use_fusion_emitters": False}
        try:
            jax.jit(lambda: 0, compiler_options=options)()
        except jax.errors.JaxRuntimeError:
            return None
        return options

    def choose(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
        """`yes()` where a scalar condition holds, else `no()`. A GPU computes both, as it would have to be waited for."""
        if not gpus():
            return keras.ops.cond(condition, yes, no)
        return _choose_of_both(condition, yes, no)

    @jax.custom_vjp
    def _max_pool(x: Any) -> Any:
        """(n, h, w, c), pooled by blocks of 2 x 2; of equals, the first has the gradient. JAX's own scatters that, slowly;
        and from four slices, it makes several kernels of every pooling, each to be compiled. See docs/engines.md."""
        return _pool(x)[0]

    def _corners(x: Any) -> list[Any]:
        """The four pictures of every second pixel of every second row: the blocks' corners in reading order."""
        whole = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
        return [whole[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]

    def _pool(x: Any) -> tuple[Any, tuple[Any, Any]]:
        pooled = reduce(jnp.maximum, _corners(x))
        return pooled, (x, pooled)

    def _unpool(known: tuple[Any, Any], gradient: Any) -> tuple[Any]:
        x, pooled = known
        winner = jnp.int8(3)
        for number, corner in reversed(list(enumerate(_corners(x)[:3]))):
            winner = jnp.where(corner == pooled, jnp.int8(number), winner)
        numbers = jnp.arange(4, dtype="int8").reshape(2, 1, 2, 1)
        blocks = jnp.where(winner[:, :, None, :, None] == numbers, gradient[:, :, None, :, None], 0)
        n, height, width, channels = x.shape
        whole = blocks.reshape(n, height // 2 * 2, width // 2 * 2, channels)
        return (jnp.pad(whole, ((0, 0), (0, height % 2), (0, width % 2), (0, 0))),)

    _max_pool.defvjp(_pool, _unpool)
    max_pool = _max_pool

    def value_and_gradient(function: Callable, x: Any) -> tuple[Any, Any, Any]:
        """`(value, aux, d value / d x)` for a `function(x)` that returns a scalar `value` and anything as `aux`."""
        (value, aux), gradient = jax.value_and_grad(function, has_aux=True)(x)
        return value, aux, gradient

    def run_as_one(function: Callable, variables: Sequence[Any] = ()) -> Callable:
        """A function of tensors (nested in tuples, dicts or lists), whose keyword-only arguments are settings that can be
        hashed, and which may read Keras' `variables`. JAX would compile its every operation apart for every new shape, which
        takes several times as long as all of it. The variables are handed in, as they would be constants in each of what is
        compiled.
        """

        def pure(values: Any, tensors: tuple, settings: tuple) -> Any:
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                return function(*tensors, **dict(settings))

        compiled = _compile(pure, settings=(2,))

        parameters = inspect.signature(function)

        @wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            bound = parameters.bind(*arguments, **named)
            return compiled([variable.value for variable in variables], bound.args, tuple(bound.kwargs.items()))

        return run

    def gpus() -> list[str]:
        """The names of the GPUs that the engine sees."""
        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]

    def meet(address: str, processes: int, process_id: int, seconds: int) -> None:
        """Become one of several processes, before anything is computed; wait for the others for so many seconds."""
        # Left to find out by itself that Slurm runs, JAX would use one GPU only.
        jax.distributed.initialize(
            address, processes, process_id, cluster_detection_method="deactivate", initialization_timeout=seconds
        )

    def part() -> None:
        """Be that no longer."""
        jax.distributed.shutdown()

    def device_owners() -> list[int]:
        """Which process has each of the devices of all."""
        return [device.process_index for device in jax.devices()]

    def process() -> tuple[int, int]:
        """Which of how many processes this is."""
        return jax.process_index(), jax.process_count()

    def gather(array: np.ndarray) -> np.ndarray:
        """The arrays of all processes, which are of one shape, as one."""
        return np.asarray(multihost_utils.process_allgather(array))

    def give_out(arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """The first process' arrays, to all; everybody's are of the same shapes and types."""
        return multihost_utils.broadcast_one_to_all(arrays)

else:
    raise ImportError(f"Keras runs on {ENGINE!r}; nst_lib needs KERAS_BACKEND to be tensorflow, torch or jax.")


if ENGINE != "jax":

    def run_as_one(function: Callable, variables: Sequence[Any] = ()) -> Callable:
        """The function itself: these engines need not compile."""
        return function

    def process() -> tuple[int, int]:
        """Which of how many processes this is."""
        return 0, 1


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether the engine, or numpy, has asked for memory that is not there."""
    return isinstance(problem, (MemoryError, *OUT_OF_MEMORY)) or any(
        sign in str(problem) for sign in OUT_OF_MEMORY_SIGNS
    )


def keras_jit() -> str | bool:
    """The `jit_compile` of a Keras model to be trained: on a processor, TensorFlow's XLA is slower than without; JAX knows
    nothing else."""
    return "auto" if gpus() or ENGINE == "jax" else False


def steps_between_looks() -> int:
    """How often to look at a loss while painting: on a GPU, every look is a wait for the device."""
    return 10 if gpus() else 1


def loss_noise(dtype: str) -> float:
    """What rounding may add to a loss that is computed in `dtype`, or take from it, as a share.

    In bfloat16, L-BFGS stopped after 150 to 200 steps where it knew of no noise or 1e-4; 3e-4 to 3e-3 came to the same, and
    ended 2.6 % lower after 400.
    """
    if dtype == "bfloat16":
        return 1e-3
    return 1e-4 if gpus() else 1e-6  # GPUs multiply float32 as tf32


def fastest_dtype() -> str:
    """In what networks run fastest here: "bfloat16" on any GPU, and on a processor with `has_fast_bfloat16` but for JAX,
    which gained nothing there; otherwise "float32". By what the hardware says, never by timing it, so that the same machine
    always gives the same picture."""
    return "bfloat16" if gpus() or (ENGINE != "jax" and has_fast_bfloat16()) else "float32"
