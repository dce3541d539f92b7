"""Base of recurrent translators, which decode a target whole or in pieces."""

from typing import Any

import flax.linen as linen
from jaxtyping import Float, Integer

from fdl.arrays import Array


class RecurrentTranslator(linen.Module):
    """Base of translators whose decoder continues from a cache, piece by piece.

    Subclasses define `_encode(source, train)`, which returns the cache before the first
    token, and `_decode(target, cache, train)`, which returns the logits and the cache
    after the last token.
    """

    vocab_size: int

    def __call__(
        self,
        source: Integer[Array, "*batch source_time"],
        target: Integer[Array, "*batch time"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch time {self.vocab_size}"]:
        """Return the logits of the token that follows each token of the target."""
        return self._decode(target, self._encode(source, train), train)[0]

    def start(
        self, source: Integer[Array, "*batch source_time"], length: int | None = None
    ) -> Any:
        """Encode a source; the cache has room for targets of any length."""
        return self._encode(source, False)

    def decode(
        self, target: Integer[Array, "*batch time"], cache: Any
    ) -> tuple[Float[Array, "*batch time {self.vocab_size}"], Any]:
        """Return the logits for new tokens, and the new cache.

        Decoding a target piece by piece gives the same logits as one `__call__` on the
        whole target.
        """
        return self._decode(target, cache, False)

    def _encode(self, source: Array, train: bool) -> Any:
        raise NotImplementedError

    def _decode(self, target: Array, cache: Any, train: bool) -> tuple[Array, Any]:
        raise NotImplementedError
