"""The convolutional network for sentences (Kim, 2014).

Parameters:

- `TextCNN(2, vocab_size=18765, features=300, maps=100)`: 5,990,402

The limit on the norms of `head` belongs to the learner, see
`fdl.keras.constraints.max_norm`.

Differences from the paper:

- Windows without a word do not count, unlike in the author's program, so that padding
  at the end has no effect.
"""

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer

from fdl import nn
from fdl.arrays import Array, Number
from fdl.nn.initializers import RandomUniform
from fdl.ranges import require_whole


class TextCNN(linen.Module):
    """Sentence classifier by phrases (Kim, 2014, arXiv:1408.5882, "CNN-rand").

    Convolutions over the vectors of a few consecutive words, each with the maximum over
    the sentence; dropout; and the dense layer `head`. To limit the norms of `head`, as
    in the paper, use `fdl.keras.constraints.max_norm` in the learner.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        vocab_size: Number of tokens, at least 2.
        features: Width of a word's vector; 300 in the paper.
        widths: Number of words in a window, for each convolution, at least 1.
        maps: Number of features of each convolution; 100 in the paper.
        dropout_rate: Fraction of the pooled features dropped in training, in [0, 1);
            needs the random key `dropout` if above 0.
        pad_token: Padding token, whose vector is zero; None if there is none.

    Raises:
        ValueError: If a width is below 1, or `widths` is empty.

    Example:
        >>> import jax
        >>> model = TextCNN(2, vocab_size=100)
        >>> token = jnp.array([[5, 17, 3, 8], [9, 4, 0, 0]])
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), token)
        >>> jax.eval_shape(model.apply, variables, token).shape
        (2, 2)
    """

    num_classes: int
    vocab_size: int
    features: int = 128
    widths: tuple[int, ...] = (3, 4, 5)
    maps: int = 64
    dropout_rate: Number = 0.5
    pad_token: int | None = 0

    @linen.compact
    def __call__(
        self, token: Integer[Array, "*batch time"], *, train: bool = False
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of sentences."""
        if not self.widths:
            raise ValueError("widths=() must have at least one convolution.")
        require_whole("[1, inf)", num_classes=self.num_classes, widths=self.widths)
        real = jnp.ones(token.shape, bool)
        if self.pad_token is not None:
            real = token != self.pad_token
        start = RandomUniform(-0.25, 0.25)
        x = nn.Embedding(self.vocab_size, self.features, start, name="embed")(token)
        x = jnp.where(real[..., None], x, 0)
        # Pad, so that every word can be the first or the last in a window, and a
        # sentence may be shorter than a window.
        border = max(self.widths) - 1
        rows = [(0, 0)] * (token.ndim - 1) + [(border, border)]
        real = jnp.pad(real, rows)
        x = jnp.pad(x, [*rows, (0, 0)])
        found = []
        for place, width in enumerate(self.widths, 1):
            conv = nn.Conv1D(
                self.maps,
                width,
                kernel_init=RandomUniform(-0.01, 0.01),
                name=f"conv{place}",
            )
            y = nn.relu(conv(x))
            y = jnp.where(any_in_window(real, width)[..., None], y, 0)
            found.append(jnp.max(y, axis=-2))
        x = jnp.concatenate(found, axis=-1)
        x = nn.Dropout(self.dropout_rate)(x, train=train)
        return nn.Dense(self.num_classes, kernel_init="zeros", name="head")(x)


def any_in_window(
    real: Bool[Array, "*batch time"], width: int
) -> Bool[Array, "*batch windows"]:
    """Return which windows contain at least one word.

    Example:
        >>> any_in_window(jnp.array([False, False, True, False]), 2)
        Array([False,  True,  True], dtype=bool)
    """
    count = real.shape[-1] - width + 1
    windows = [real[..., first : first + count] for first in range(width)]
    return jnp.any(jnp.stack(windows), axis=0)
