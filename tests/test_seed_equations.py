"""Each equation of the tutorial, in NumPy, compared with the library.

The tutorial is "deep learning research with TensorFlow". Where one of its equations
departs from the standard, the library follows the standard, as Keras does. The test
then checks the standard equation and shows where the tutorial agrees with it and where
it does not; its docstring states the difference and the sources.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses, models, nn, ops
from zoo import draw_variables

RNG = np.random.default_rng(0)
x = RNG.normal(size=(9, 8))
w = RNG.normal(size=(3, 2))
PARAMETERS = ("kernel", "recurrent_kernel", "bias")


def sigma(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def outputs_of(layer: Any, variables: Any) -> np.ndarray:
    return np.asarray(jax.jit(layer.apply)(variables, jnp.float32(x)).outputs)


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def differ(a: Any, b: Any) -> None:
    assert np.abs(np.asarray(a) - np.asarray(b)).max() > 1e-2


def test_convolution() -> None:
    """`y[m, n] = sum_p sum_q x[m + p, n + q] w[p, q]`.

    This is cross-correlation. Mathematical convolution flips `w`. Both the tutorial and
    the library call it convolution, as is usual in deep learning (Goodfellow, Bengio &
    Courville, 2016, Deep Learning, equation 9.6).
    """

    def tutorial(m: int, n: int) -> float:
        return sum(x[m + p, n + q] * w[p, q] for p in range(3) for q in range(2))

    ours = ops.conv(jnp.float32(x)[..., None], jnp.float32(w)[..., None, None])
    close(ours[..., 0], [[tutorial(m, n) for n in range(7)] for m in range(7)])
    flipped = ops.conv(
        jnp.float32(x)[..., None], jnp.float32(w[::-1, ::-1, None, None])
    )
    differ(ours, flipped)


def test_max_pooling() -> None:
    """`y[m, n] = max over p, q in [-k, k] of x[m + p, n + q]`.

    The tutorial centers a window of odd size on every output. The library has Keras'
    layer, which the tutorial's own code uses: windows start at multiples of the stride,
    which is the size of the window by default (Keras, `MaxPooling2D`). With a window of
    2k + 1 and stride 1, both are equal away from the border.
    """
    k = 1

    def tutorial(m: int, n: int) -> float:
        return x[m - k : m + k + 1, n - k : n + k + 1].max()

    image = jnp.float32(x)[..., None]
    same = ops.max_pool(image, (2 * k + 1, 2 * k + 1), strides=(1, 1))
    close(same[..., 0], [[tutorial(m, n) for n in range(1, 7)] for m in range(1, 8)])
    code = ops.max_pool(image, (2, 2))
    blocks = x[:8].reshape(4, 2, 4, 2).max(axis=(1, 3))
    close(code[..., 0], blocks)
    differ(
        blocks, [[tutorial(2 * m + 1, 2 * n + 1) for n in range(4)] for m in range(4)]
    )


def test_dense() -> None:
    """`y = sigma(W x + b)`.

    The library's kernel is the transpose of `W`, so that examples are rows (Keras).
    """
    W, b = RNG.normal(size=(5, 8)), RNG.normal(size=5)
    tutorial = lambda x: sigma(W @ x + b)
    variables = {"params": {"kernel": jnp.float32(W.T), "bias": jnp.float32(b)}}
    ours = nn.sigmoid(nn.Dense(5).apply(variables, jnp.float32(x)))
    close(ours, [tutorial(row) for row in x])


def test_lstm_gates() -> None:
    """Gates, candidate, cell state and output of the LSTM.

    `i, f, o = sigma(W_x x_t + W_h h_{t-1} + b)`,
    `c~ = tanh(W_x x_t + W_h h_{t-1} + b)`, `c_t = f c_{t-1} + i c~`,
    `h_t = o tanh(c_t)`. The tutorial shows them twice, as "the gates of an RNN" and as
    the LSTM. They define the LSTM (Hochreiter & Schmidhuber, 1997; with the forget gate
    of Gers et al., 2000). A simple RNN, as in the library, has no gates:
    `h_t = tanh(W_x x_t + W_h h_{t-1} + b)` (Elman, 1990).
    """
    layer = nn.LSTM(3)
    variables = draw_variables(layer, jnp.float32(x))
    W_x, W_h, b = (variables["params"][name] for name in PARAMETERS)

    def tutorial(h: np.ndarray, c: np.ndarray, x_t: np.ndarray) -> tuple[Any, Any]:
        i, f, g, o = np.split(x_t @ W_x + h @ W_h + b, 4)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        return sigma(o) * np.tanh(c), c

    h = c = np.zeros(3)
    for t, output in enumerate(outputs_of(layer, variables)):
        h, c = tutorial(h, c, x[t])
        close(output, h)

    simple = nn.SimpleRNN(3)
    variables = draw_variables(simple, jnp.float32(x))
    W_x, W_h, b = (variables["params"][name] for name in PARAMETERS)
    h = np.zeros(3)
    for t, output in enumerate(outputs_of(simple, variables)):
        h = np.tanh(x[t] @ W_x + h @ W_h + b)
        close(output, h)


def test_gru() -> None:
    """`h~ = tanh(W_xh c~_t + W_hh h_{t-1} + b)`, `h_t = (1 - z) r h_{t-1} + z h~`.

    The tutorial applies the reset gate r to the state that is carried over, and reads a
    `c~_t` that a GRU does not have. In the standard GRU, r is inside the candidate, and
    the state is carried over unchanged: `h~ = tanh(W x_t + U (r h_{t-1}))`,
    `h_t = z h_{t-1} + (1 - z) h~` (Cho et al., 2014, arXiv:1406.1078, equations 7 and 8
    with z for 1 - z in some texts; Keras, `reset_after=False`), or
    `tanh(W x_t + r (U h_{t-1}))` (its first version, cuDNN, Keras' default). With x_t
    for c~_t, 1 - z for z, and an open reset gate, all three are equal.
    """
    z_bias = np.zeros(9)

    def step(h: np.ndarray, x_t: np.ndarray, form: str) -> np.ndarray:
        x_z, x_r, x_h = np.split(x_t @ W_x + b + z_bias, 3)
        u_z, u_r, u_h = np.split(W_h, 3, axis=1)
        z, r = sigma(x_z + h @ u_z), sigma(x_r + h @ u_r)
        match form:
            case "tutorial":  # with z for its 1 - z
                return z * r * h + (1 - z) * np.tanh(x_h + h @ u_h)
            case "before":
                return z * h + (1 - z) * np.tanh(x_h + (r * h) @ u_h)
        return z * h + (1 - z) * np.tanh(x_h + r * (h @ u_h))

    def run(form: str) -> np.ndarray:
        states = [np.zeros(3)]
        for x_t in x:
            states.append(step(states[-1], x_t, form))
        return np.stack(states[1:])

    found = {}
    for form in ("before", "after"):
        layer = nn.GRU(3, reset_after=form == "after")
        variables = draw_variables(layer, jnp.float32(x))
        params = variables["params"]
        W_x, W_h, b = (np.asarray(params[name]) for name in PARAMETERS)
        if form == "after":  # the recurrent bias, which the papers do not have
            params["bias"] = np.stack([b[0], 0 * b[1]])
            b = b[0]
        found[form] = outputs_of(layer, variables)
        close(found[form], run(form))
        differ(found[form], run("tutorial"))
        # With the reset gate open, the difference vanishes.
        z_bias[3:6] = 100
        bias = np.array(params["bias"])
        bias[..., 3:6] += 100
        opened = {"params": {**params, "bias": jnp.float32(bias)}}
        close(outputs_of(layer, opened), run("tutorial"))
        z_bias[3:6] = 0


def test_generator_and_discriminator() -> None:
    """`G(z) = tanh(W z + b)` and `D(x) = sigma(W x + b)`.

    The library's discriminator returns the logit; the sigmoid is in the losses, where
    it cannot overflow.
    """
    z = RNG.normal(size=(2, 6)).astype(np.float32)
    generator, discriminator = models.DenseGenerator(), models.DenseDiscriminator()
    variables = draw_variables(generator, z)
    W, b = (np.asarray(variables["params"]["dense"][name]) for name in PARAMETERS[::2])
    images = generator.apply(variables, z)
    close(images.reshape(2, -1), [np.tanh(one @ W + b) for one in z])
    variables = draw_variables(discriminator, images)
    W, b = (np.asarray(variables["params"]["head"][name]) for name in PARAMETERS[::2])
    logits = discriminator.apply(variables, images)
    close(nn.sigmoid(logits), [sigma(one.ravel() @ W + b) for one in images])


def test_adversarial_objectives() -> None:
    """`min_G E[log D(G(z))]` and `min_D E[log D(x)] + E[log(1 - D(G(z)))]`.

    Both signs are reversed: taken literally, the generator would learn to be detected,
    and the discriminator to be wrong. Goodfellow et al. (2014, arXiv:1406.2661,
    equation 1) maximize the second over D and minimize `E[log(1 - D(G(z)))]` over G, or
    (section 3) maximize `E[log D(G(z))]`. The library minimizes all its losses, so they
    are those of the tutorial with the sign changed.
    """
    real, fake = RNG.normal(size=(2, 50)).astype(np.float32)
    tutorial_generator = lambda fake: np.mean(np.log(sigma(fake)))
    tutorial_discriminator = lambda real, fake: np.mean(
        np.log(sigma(real)) + np.log(1 - sigma(fake))
    )
    for loss in (losses.non_saturating, losses.minimax):
        ours = loss.discriminator(real, fake).mean()
        close(ours, -tutorial_discriminator(real, fake))
        # Descent raises D on real examples and lowers it on generated ones.
        uphill = jax.grad(lambda r, f, g=loss: g.discriminator(r, f).mean(), (0, 1))
        on_real, on_fake = uphill(real, fake)
        assert (on_real < 0).all()
        assert (on_fake > 0).all()
        # Descent on the generator's loss raises D on generated examples.
        assert (jax.grad(lambda f, g=loss: g.generator(f).mean())(fake) < 0).all()
    close(losses.non_saturating.generator(fake).mean(), -tutorial_generator(fake))
    close(losses.minimax.generator(fake).mean(), np.mean(np.log(1 - sigma(fake))))
