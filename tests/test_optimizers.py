"""Adam against NumPy, L-BFGS against SciPy's, on functions with known minima and on a real loss."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.fft
import scipy.optimize
from keras import ops

from nst_lib import autodiff
from nst_lib.backbones import CONTENT_LAYER, STYLE_LAYERS, load_backbone
from nst_lib.losses import STYLE_GAIN, gram_distance, gram_target, relative_error, total_variation
from nst_lib.optimizers import COLOUR_AXES, CURVATURE, FREQUENCIES, LBFGS, Adam, precondition, precondition_with_square

BOTH = pytest.mark.parametrize("preconditioned", [True, False])
LAYERS = [CONTENT_LAYER, *STYLE_LAYERS]


def objective_of(function):
    """What an optimiser takes, from a function of a picture to a scalar."""
    return lambda x: autodiff.value_and_gradient(lambda x: (function(x), ops.zeros(())), x)


def tensor(array):
    return ops.convert_to_tensor(np.asarray(array, dtype="float32"))


def step_of(optimizer, objective):
    """One step, compiled: from a state to the next and the loss."""
    step = optimizer.compile(objective)
    return lambda state: step(state)[:2]


def minimise(optimizer, function, x, steps):
    """Run an optimiser from `x`. Returns the losses it saw, and every state after `start`, as arrays."""
    step, state = step_of(optimizer, objective_of(function)), optimizer.start(tensor(x))
    losses, states = [], []
    for _ in range(steps):
        state, loss = step(state)
        losses.append(float(loss))
        states.append({key: ops.convert_to_numpy(state[key]) for key in ("x", "best")})
    return np.array(losses), states


def evaluations_of_scipy(function, x, most):
    """The losses that SciPy's L-BFGS-B sees on the same function, in the same box, from the same start."""
    compiled = autodiff.compile_function(objective_of(function))
    losses = []

    def value_and_gradient(flat):
        loss, _, gradient = compiled(tensor(flat.reshape(x.shape)))
        losses.append(float(loss))
        return losses[-1], ops.convert_to_numpy(gradient).ravel().astype("float64")

    scipy.optimize.minimize(
        value_and_gradient,
        x.ravel().astype("float64"),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * x.size,
        options={"maxfun": most, "maxiter": most, "maxcor": 10, "ftol": 0, "gtol": 0},
    )
    return np.array(losses)


def rosenbrock(x):
    """Rosenbrock's valley over [-2, 2], moved into the box; the minimum is at 0.75."""
    z = 4 * ops.reshape(x, (-1,)) - 2
    return 1e-3 * ops.sum(100 * (z[1:] - z[:-1] ** 2) ** 2 + (1 - z[:-1]) ** 2)


@pytest.fixture(scope="module")
def style_loss(pair):
    """The loss at weights 1 and 1 of a photograph in the style of a painting, with the pocket VGG."""
    net = load_backbone("pocket", padding="replicate")
    photograph, painting = (net(picture, LAYERS) for picture in pair)
    targets = {layer: gram_target([painting[layer]], [1.0]) for layer in STYLE_LAYERS}

    def loss(x):
        seen = net(x, LAYERS)
        style = sum(gram_distance(seen[layer], targets[layer]) for layer in STYLE_LAYERS) / len(STYLE_LAYERS)
        content = relative_error(seen[CONTENT_LAYER], photograph[CONTENT_LAYER])
        return content + STYLE_GAIN * style + 0.5 * total_variation(x)

    return loss


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_textbook_lbfgs_on_rosenbrock_is_as_good_as_scipys(seed):
    start = np.random.default_rng(seed).uniform(0.2, 0.8, (1, 2, 2, 3)).astype("float32")
    ours, states = minimise(LBFGS(preconditioned=False), rosenbrock, start, 150)
    scipys = evaluations_of_scipy(rosenbrock, start, 150)
    assert ours[0] == pytest.approx(scipys[0], rel=1e-4)
    np.testing.assert_allclose(states[-1]["best"], 0.75, atol=1e-3)
    assert np.argmax(ours < 1e-5) <= 1.3 * np.argmax(scipys < 1e-5)


@pytest.mark.slow
def test_textbook_lbfgs_on_a_style_loss_is_as_good_as_scipys_and_the_preconditioner_better(pair, style_loss):
    start = pair[0][None]
    textbook, _ = minimise(LBFGS(preconditioned=False), style_loss, start, 50)
    scipys = evaluations_of_scipy(style_loss, start, 50)
    assert textbook[0] == pytest.approx(scipys[0], rel=1e-4)
    for evaluations in (30, 50):
        assert textbook[:evaluations].min() <= 1.1 * scipys[:evaluations].min()
    ours, _ = minimise(LBFGS(), style_loss, start, 50)
    assert np.argmax(ours <= textbook.min()) in range(1, 45)


@BOTH
def test_lbfgs_finds_minima_that_lie_outside_the_box_at_its_wall(preconditioned):
    goal = np.random.default_rng(0).uniform(-1, 2, (1, 4, 5, 3)).astype("float32")
    steepness = np.random.default_rng(1).uniform(1, 50, goal.shape).astype("float32")
    start = np.full_like(goal, 0.5)
    steep, far = tensor(steepness), tensor(goal)
    _, states = minimise(LBFGS(preconditioned=preconditioned), lambda x: ops.sum(steep * (x - far) ** 2), start, 60)
    np.testing.assert_allclose(states[-1]["best"], np.clip(goal, 0, 1), atol=1e-3)


@BOTH
def test_lbfgs_on_a_coupled_problem_with_walls_is_as_good_as_scipys_exact_solution(preconditioned):
    rng = np.random.default_rng(0)
    matrix, goal = rng.normal(size=(40, 36)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")
    tensors = tensor(matrix), tensor(goal)
    exact = scipy.optimize.lsq_linear(matrix.astype("float64"), goal[:, 0].astype("float64"), bounds=(0, 1)).cost

    def cost(x):
        return 0.5 * ops.sum((ops.matmul(tensors[0], ops.reshape(x, (36, 1))) - tensors[1]) ** 2)

    losses, _ = minimise(LBFGS(preconditioned=preconditioned), cost, np.full((1, 3, 4, 3), 0.5), 60)
    assert losses.min() == pytest.approx(exact, rel=1e-4)


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_lbfgs_survives_wrong_curvature_and_never_leaves_the_box_or_gets_worse(preconditioned, seed):
    """A landscape of hills and valleys, where many steps meet negative curvature and a wall."""
    rng = np.random.default_rng(seed)
    height, phase, wave = (rng.uniform(*ends, (1, 5, 6, 3)).astype("float32") for ends in ((0.1, 3), (0, 6), (5, 15)))
    tensors = tensor(height), tensor(wave), tensor(phase)
    losses, states = minimise(
        LBFGS(preconditioned=preconditioned),
        lambda x: ops.sum(tensors[0] * ops.sin(tensors[1] * x + tensors[2])),
        rng.uniform(size=(1, 5, 6, 3)),
        150,
    )
    best = [np.sum(height * np.sin(wave * state["best"] + phase)) for state in states]
    least = 2e-6  # as a share: what counts as noise, 1e-6, and what rounding adds
    assert all(after <= before + least * abs(before) for before, after in pairwise(best))
    assert best[-1] == pytest.approx(losses.min(), rel=1e-4)
    for state in states:
        for picture in state.values():
            assert picture.min() >= 0 and picture.max() <= 1
    x = states[-1]["best"]
    slope = height * wave * np.cos(wave * x + phase)
    to_the_wall = np.clip(x - slope, 0, 1) - x  # 0 at a minimum, be it on a wall or inside
    assert np.abs(to_the_wall).max() < 0.02


def test_a_step_that_makes_it_worse_is_taken_back_and_shortened():
    start = ops.full((1, 4, 4, 3), 0.51)
    optimizer = LBFGS()
    step = step_of(optimizer, objective_of(lambda x: 1000 * ops.sum((x - 0.5) ** 2)))
    first, loss = step(optimizer.start(start))
    tried = ops.convert_to_numpy(first["x"])
    np.testing.assert_allclose(tried, 0.46, atol=1e-3)  # first_move, beyond the valley
    second, worse = step(first)
    assert float(worse) > float(loss) == float(second["loss"])
    np.testing.assert_array_equal(ops.convert_to_numpy(second["best"]), ops.convert_to_numpy(start))
    retried = ops.convert_to_numpy(second["x"])
    np.testing.assert_array_less(tried, retried)
    np.testing.assert_array_less(retried, 0.51)
    third, better = step(second)
    assert float(better) < float(loss)
    np.testing.assert_array_equal(ops.convert_to_numpy(third["best"]), retried)


def test_a_move_that_the_box_has_bent_uphill_must_not_raise_the_loss():
    optimizer, start = LBFGS(), ops.full((1, 4, 4, 3), 0.5)
    uphill = {"x": start + 0.1, "loss": tensor(1.0), "gradient": ops.full((1, 4, 4, 3), 1000.0)}
    state, loss, _ = optimizer.step(lambda x: (tensor(1.1), ops.zeros(()), x), optimizer.start(start) | uphill)
    assert float(loss) > float(state["loss"]) == 1
    np.testing.assert_array_equal(ops.convert_to_numpy(state["best"]), 0.5)
    np.testing.assert_array_less(ops.convert_to_numpy(state["x"]), 0.6)


def test_noise_in_the_loss_does_not_stop_the_search():
    """As of rounding: a ripple that is finer than any step, and higher than what the last steps gain."""
    goal = np.random.default_rng(0).uniform(0.3, 0.7, (1, 4, 4, 3)).astype("float32")
    steep, target = tensor(np.geomspace(1, 300, goal.size).reshape(goal.shape)), tensor(goal)

    def distance(x):
        return ops.mean(steep * (x - target) ** 2)

    def noisy(x):
        loss, aux, gradient = objective_of(distance)(x)
        return loss + 1 + 3e-4 * ops.sin(1e6 * ops.sum(x)), aux, gradient

    ends, start = {}, tensor(np.full(goal.shape, 0.5))
    for noise in (0.0, 1e-3):
        optimizer = LBFGS(preconditioned=False, noise=noise)
        step, state = step_of(optimizer, noisy), optimizer.start(start)
        for _ in range(80):
            state, _ = step(state)
        ends[noise] = float(distance(state["best"]))
    assert ends[1e-3] < 1e-6 < 1e-5 < ends[0.0] < 0.1 * float(distance(start))


def test_negative_curvature_is_not_remembered():
    optimizer = LBFGS()
    step = step_of(optimizer, objective_of(lambda x: -ops.sum((x - 0.4) ** 2)))
    state = optimizer.start(ops.full((1, 4, 4, 3), 0.5))
    for _ in range(4):
        state, _ = step(state)
    assert ops.convert_to_numpy(state["best"]).min() > 0.55  # it did move
    for key in ("curvatures", "steps", "changes"):
        np.testing.assert_array_equal(ops.convert_to_numpy(ops.stack(state[key])), 0)


@pytest.mark.parametrize("misleading", [1e9, float("nan"), float("inf")])
def test_lbfgs_forgets_what_misleads_it_and_goes_on(misleading):
    def valley(x):
        return ops.sum((1 + ops.arange(48, dtype="float32")) * (ops.reshape(x, (48,)) - 0.4) ** 2)

    def lie(x):
        return tensor(misleading), ops.zeros(()), ops.zeros_like(x)

    optimizer = LBFGS()
    true_step, false_step = step_of(optimizer, objective_of(valley)), step_of(optimizer, lie)
    state = optimizer.start(ops.full((1, 4, 4, 3), 0.6))
    for _ in range(4):
        state, _ = true_step(state)
    best, known = ops.convert_to_numpy(state["best"]), ops.convert_to_numpy(state["curvatures"])
    assert (known > 0).sum() >= 2

    lengths = []
    for _ in range(12):
        state, _ = false_step(state)
        lengths.append(float(state["length"]))
        np.testing.assert_array_equal(ops.convert_to_numpy(state["best"]), best)
        assert np.isfinite(ops.convert_to_numpy(state["x"])).all()
        if lengths[-1] == 1:
            break
    assert lengths[-1] == 1 and len(lengths) > 1 and np.all(np.diff(lengths[:-1]) < 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(state["curvatures"]), 0)
    gradient, direction = (ops.convert_to_numpy(state[key]) for key in ("gradient", "direction"))
    np.testing.assert_allclose(direction, -gradient * optimizer.first_move / np.abs(gradient).max(), rtol=1e-5)
    before = float(state["loss"])
    for _ in range(40):
        state, _ = true_step(state)
    assert float(state["loss"]) < 0.01 * before
    np.testing.assert_allclose(ops.convert_to_numpy(state["best"]), 0.4, atol=0.02)


def test_restarting_lbfgs_keeps_the_picture_and_nothing_else():
    optimizer = LBFGS()
    step, state = step_of(optimizer, objective_of(rosenbrock)), optimizer.start(ops.full((1, 4, 4, 3), 0.6))
    for _ in range(4):
        state, _ = step(state)
    again = optimizer.restart(state)
    np.testing.assert_array_equal(ops.convert_to_numpy(again["x"]), ops.convert_to_numpy(state["best"]))
    assert float(again["loss"]) == np.inf
    for key in ("gradient", "direction", "curvatures"):
        np.testing.assert_array_equal(ops.convert_to_numpy(again[key]), 0)


def test_the_scale_of_the_loss_does_not_matter_to_lbfgs():
    start = np.random.default_rng(1).uniform(0.2, 0.8, (1, 2, 2, 3))
    runs = [minimise(LBFGS(), lambda x, scale=scale: scale * rosenbrock(x), start, 12)[0] / scale for scale in (1, 1e4)]
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-2)


def test_ten_steps_of_adam_against_numpy():
    rng = np.random.default_rng(0)
    x, goal = rng.uniform(size=(1, 4, 5, 3)), rng.uniform(-0.3, 1.3, (1, 4, 5, 3))
    steepness = rng.uniform(0.1, 10, x.shape)
    tensor_goal, tensor_steepness = (tensor(array) for array in (goal, steepness))
    losses, states = minimise(
        Adam(learning_rate=0.05), lambda x: ops.sum(tensor_steepness * (x - tensor_goal) ** 2), x, 10
    )
    mean = square = averaged = np.zeros_like(x)
    for step, (loss, state) in enumerate(zip(losses, states, strict=True), start=1):
        assert loss == pytest.approx(np.sum(steepness * (x - goal) ** 2), rel=1e-4)
        gradient = 2 * steepness * (x - goal)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        move = 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        x = np.clip(x - move, 0, 1)
        averaged = 0.9 * averaged + 0.1 * x
        np.testing.assert_allclose(state["x"], x, atol=1e-5)
        np.testing.assert_allclose(state["best"], averaged / (1 - 0.9**step), atol=1e-5)
    assert x.min() == 0 and x.max() == 1  # the walls were met


def test_adam_without_averaging_shows_the_last_picture():
    _, states = minimise(Adam(average=0.0), rosenbrock, np.full((1, 2, 2, 3), 0.3), 3)
    np.testing.assert_array_equal(states[-1]["best"], states[-1]["x"])


def test_a_gradient_that_is_not_a_number_leaves_adams_picture_as_it_was():
    optimizer = Adam()
    state, _, _ = optimizer.step(objective_of(rosenbrock), optimizer.start(ops.full((1, 2, 2, 3), 0.3)))
    broken, _, _ = optimizer.step(lambda x: (ops.zeros(()), ops.zeros(()), x * float("nan")), state)
    np.testing.assert_array_equal(ops.convert_to_numpy(broken["x"]), ops.convert_to_numpy(state["x"]))
    np.testing.assert_allclose(ops.convert_to_numpy(broken["best"]), ops.convert_to_numpy(state["best"]), atol=1e-6)
    going_on, _, _ = optimizer.step(objective_of(rosenbrock), broken)
    assert np.all(ops.convert_to_numpy(going_on["x"]) != ops.convert_to_numpy(state["x"]))


@pytest.mark.parametrize("optimizer", [Adam(), LBFGS()], ids=["adam", "lbfgs"])
def test_going_on_with_a_larger_picture(optimizer):
    def smooth(x):  # a mean, so that a pixel's share falls as the picture grows, as it does in a style loss
        return ops.mean((x - 0.5) ** 2)

    step, state = (
        step_of(optimizer, objective_of(smooth)),
        optimizer.start(tensor(np.linspace(0.1, 0.3, 48).reshape(1, 4, 4, 3))),
    )
    for _ in range(2):
        state, _ = step(state)
    larger = optimizer.resize(state, lambda x: ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2), 4.0)
    shown = ops.convert_to_numpy(state["best"]).repeat(2, axis=1).repeat(2, axis=2)
    for key in ("x", "best"):
        np.testing.assert_allclose(ops.convert_to_numpy(larger[key]), shown, atol=1e-6)
    after, loss = step(larger)
    assert float(loss) == pytest.approx(np.mean((shown - 0.5) ** 2), rel=1e-5)
    moved = ops.convert_to_numpy(after["x"]) - shown
    assert 0.02 < moved.max() < 0.06 and moved.min() > -1e-3  # a step of usual length, the right way


def test_the_periodic_preconditioner_does_not_know_where_the_edges_are():
    gradient = np.random.default_rng(0).normal(size=(1, 10, 14, 3)).astype("float32")
    shifted = ops.convert_to_numpy(precondition(tensor(np.roll(gradient, (3, 5), (1, 2))), periodic=True))
    expected = np.roll(ops.convert_to_numpy(precondition(tensor(gradient), periodic=True)), (3, 5), (1, 2))
    np.testing.assert_allclose(shifted, expected, atol=1e-4)


def test_the_preconditioner_divides_every_frequency_by_its_curvature():
    gradient = np.random.default_rng(0).normal(size=(10, 14, 3))
    spectrum = scipy.fft.dctn(gradient @ COLOUR_AXES, axes=(0, 1), norm="ortho")
    for u in range(10):
        for v in range(14):
            frequency = np.hypot(u / 20, v / 28)  # cycles per pixel
            spectrum[u, v] /= [np.interp(frequency, FREQUENCIES, row) for row in CURVATURE]
    expected = scipy.fft.idctn(spectrum, axes=(0, 1), norm="ortho") @ COLOUR_AXES.T
    ours = precondition(tensor(gradient[None]))
    np.testing.assert_allclose(ops.convert_to_numpy(ours)[0], expected, atol=1e-4)
    other = np.random.default_rng(1).normal(size=gradient.shape)
    same, square = precondition_with_square(tensor(other[None]), tensor(gradient[None]))
    assert ops.convert_to_numpy(square) == pytest.approx(np.sum(gradient * expected), rel=1e-4)
    np.testing.assert_allclose(
        ops.convert_to_numpy(same), ops.convert_to_numpy(precondition(tensor(other[None]))), atol=1e-5
    )


def test_the_preconditioner_is_symmetric_and_positive_definite():
    shape = (5, 4, 3)
    columns = [
        ops.convert_to_numpy(precondition(tensor(unit.reshape(1, *shape)))).ravel()
        for unit in np.eye(60, dtype="float32")
    ]
    matrix = np.array(columns)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    values = np.linalg.eigvalsh(matrix.astype("float64"))
    assert values.min() >= 1 / np.max(CURVATURE) - 1e-4
    assert values.max() <= 1 / np.min(CURVATURE) + 1e-4


@pytest.mark.parametrize("axis", range(3))
def test_the_preconditioner_keeps_one_colour_one_colour(axis):
    flat = np.broadcast_to(COLOUR_AXES[:, axis], (1, 6, 9, 3)).astype("float32")
    scaled = ops.convert_to_numpy(precondition(tensor(flat)))
    np.testing.assert_allclose(scaled, flat / CURVATURE[axis][0], rtol=1e-3, atol=1e-4)
