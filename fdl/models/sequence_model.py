"""The recurrent model of sequences of frames, such as music (Chung et al., 2014).

Parameters:

- `SequenceModel(88, "gru", hidden_size=150)`: 121,288
- `SequenceModel(88, "lstm", hidden_size=120)`: 110,968
- `SequenceModel(88, "rnn", hidden_size=200)`: 75,488

The paper compares gated layers with simple ones on polyphonic music.

Differences from the paper:

- Dropout is the regularization, instead of noise on the weights.
"""

import functools
from typing import Any, Literal

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Shaped

from fdl import nn
from fdl.arrays import Array, Key, Number, PyTree, Seed, as_key
from fdl.models.recurrent import RecurrentState, Streamed
from fdl.ranges import require_number, require_whole

Cell = Literal["gru", "lstm", "rnn"]
"""Recurrent layers by name."""

_LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.SimpleRNN}


class SequenceModel(linen.Module):
    """Model of each frame of a sequence given those before it (Chung et al., 2014).

    arXiv:1412.3555. A stack of recurrent layers, and a dense layer on the output of
    every step: in Keras, layers with `return_sequences=True`, then `Dense`. The logits
    are those of values that are 0 or 1, independent of each other given the past.

    Attributes:
        features: Number of values in a frame.
        cell: Recurrent layer: `"gru"`, `"lstm"`, or `"rnn"` for the simple one.
        hidden_size: Width of each layer's state, at least 1.
        num_layers: Number of layers, at least 1.
        dropout_rate: Fraction of the outputs of each layer dropped in training, in
            [0, 1); needs the random key `dropout` if above 0.

    Raises:
        ValueError: If `cell` is unknown, or a number is out of range.

    Example:
        >>> model = SequenceModel(88, "lstm", hidden_size=16)
        >>> frames = jnp.zeros((2, 7, 88))
        >>> variables = jax.jit(model.init)(jax.random.key(0), frames)
        >>> jax.eval_shape(model.apply, variables, frames).shape
        (2, 7, 88)

        Step by step:

        >>> logits, state = model.apply(variables, frames[:, 0], method="step")
        >>> more = model.apply(variables, frames[:, 1], state, method="step")
        >>> logits.shape, more.logits.shape
        ((2, 88), (2, 88))
    """

    features: int
    cell: Cell = "gru"
    hidden_size: int = 128
    num_layers: int = 1
    dropout_rate: Number = 0.0

    def __call__(
        self,
        frames: Float[Array, "*batch time {self.features}"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch time {self.features}"]:
        """Return the logits of the frame after each frame.

        Earlier outputs do not depend on later frames, so padding at the end needs no
        mask.
        """
        return self._read(frames, None, train, stepwise=False).logits

    def step(
        self,
        frame: Float[Array, "*batch {self.features}"],
        state: RecurrentState | None = None,
    ) -> Streamed:
        """Read one frame; return the logits of the next, and the new state.

        Args:
            frame: The frame.
            state: The state after the previous frame; None at the start.
        """
        return self._read(frame, state, train=False, stepwise=True)

    @linen.compact
    def _read(
        self, x: Array, state: RecurrentState | None, train: bool, stepwise: bool
    ) -> Streamed:
        if self.cell not in _LAYERS:
            raise ValueError(f"cell={self.cell!r} must be one of gru, lstm, rnn.")
        require_whole("[1, inf)", num_layers=self.num_layers)
        before = (None,) * self.num_layers if state is None else state
        after = []
        for number, start in enumerate(before, start=1):
            layer: Any = _LAYERS[self.cell](self.hidden_size, name=f"layer{number}")
            if stepwise:
                end = layer.step(x, start)
                x = end.h if isinstance(end, nn.LSTMState) else end
            else:
                x, end = layer(x, start)
            after.append(end)
            x = nn.Dropout(self.dropout_rate)(x, train=train)
        return Streamed(nn.Dense(self.features, name="head")(x), tuple(after))


def continue_frames(
    model: SequenceModel,
    variables: PyTree,
    frames: Shaped[Array, "batch time features"],
    length: int,
    key: Seed,
    *,
    temperature: float = 1.0,
) -> Bool[Array, "batch {length} {model.features}"]:
    """Sample a continuation of sequences, frame by frame.

    Args:
        model: The model.
        variables: Its variables.
        frames: The frames to continue, at least one; values are 0 or 1.
        length: Number of frames to sample, at least 1.
        key: Random key, or a seed.
        temperature: Divisor of the logits, at least 0; at 0, values with a probability
            above 1/2 become 1.

    Raises:
        ValueError: If there are no frames to continue, or a number is out of range.

    Example:
        >>> model = SequenceModel(88, hidden_size=8)
        >>> silence = jnp.zeros((2, 1, 88))
        >>> variables = jax.jit(model.init)(jax.random.key(0), silence)
        >>> continue_frames(model, variables, silence, 5, jax.random.key(1)).shape
        (2, 5, 88)
    """
    require_whole("[1, inf)", length=length)
    require_number("[0, inf)", temperature=temperature)
    if frames.shape[1] < 1:
        raise ValueError("frames is empty: pass at least one frame, such as silence.")
    given = jnp.asarray(frames, jax.tree.leaves(variables)[0].dtype)
    return _continue(
        model, variables, given, length, as_key(key), jnp.float32(temperature)
    )


@functools.partial(jax.jit, static_argnames=("model", "length"))
def _continue(
    model: SequenceModel,
    variables: PyTree,
    frames: Array,
    length: int,
    key: Key,
    temperature: Array,
) -> Array:
    def step(frame: Array, state: Any) -> Any:
        return model.apply(variables, frame, state, method="step")

    def read(state: Any, frame: Array) -> tuple[Any, Array]:
        logits, state = step(frame, state)
        return state, logits

    logits, state = step(frames[:, 0], None)
    state, more = jax.lax.scan(read, state, jnp.moveaxis(frames[:, 1:], 1, 0))
    logits = jnp.concatenate([logits[None], more])[-1]

    def draw(carry: tuple[Array, Any], key: Key) -> tuple[Any, Array]:
        logits, state = carry
        chance = jax.nn.sigmoid(logits / jnp.where(temperature > 0, temperature, 1))
        drawn = jax.random.bernoulli(key, chance)
        sounds = jnp.where(temperature > 0, drawn, logits > 0)
        return tuple(step(sounds.astype(frames.dtype), state)), sounds

    _, drawn = jax.lax.scan(draw, (logits, state), jax.random.split(key, length))
    return jnp.moveaxis(drawn, 0, 1)
