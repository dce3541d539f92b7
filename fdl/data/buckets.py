"""Buckets of pairs by length: padded to a few lengths, not all to the longest."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from fdl.arrays import PAD, Buckets, DataError, Pairs

_MOST_LENGTHS = 32  # tried as bounds, of sources and of targets each

Bounds = tuple[tuple[int, int], ...]
"""Source and target length of each bucket, from short to long."""


def bucketed(
    pairs: Pairs, bounds: int | Sequence[tuple[int, int]] = 5, *, batch_size: int = 1
) -> Buckets:
    """Group pairs into buckets by length, each padded only to the bucket's lengths.

    A pair goes into the first bucket that is long enough for both of its texts; buckets
    without pairs are left out. Pairs keep their order within a bucket.

    Args:
        pairs: The pairs.
        bounds: Source and target length of each bucket, from short to long; or the
            number of buckets, with the bounds of `bucket_bounds`.
        batch_size: Examples in an update, at least 1. Pairs beyond the last full batch
            of a bucket move to the next bucket, so only the last bucket has a smaller
            batch, and there are no more updates than without buckets.

    Raises:
        DataError: If there are no bounds, they decrease, a pair is longer than the
            last, or `batch_size` is below 1.

    Example:
        >>> pairs = Pairs(np.tril(np.full((4, 4), 5)), np.tri(4, 6, 1, int) * 2)
        >>> bucketed(pairs, [(2, 4), (4, 6)]).parts
        (Pairs(source=int64[2, 2], target=int64[2, 4]), Pairs(source=int64[2, 4], ...))
    """
    if batch_size < 1:
        raise DataError(f"batch_size={batch_size} must be at least 1.")
    if isinstance(bounds, int):
        bounds = bucket_bounds(pairs, bounds)
    lengths = _lengths(pairs)
    paired = all(np.shape(sides) == (2,) for sides in bounds)
    sides = np.array(bounds if paired else []).reshape(-1, 2)
    if not len(sides) or (np.diff(sides, axis=0) < 0).any():
        raise DataError(
            f"bounds={bounds!r} must be the source and target lengths of at least one "
            "bucket, from short to long."
        )
    fits = np.all(lengths[:, None] <= sides, axis=2)
    if not fits[:, -1].all():
        row = int(fits[:, -1].argmin())
        raise DataError(
            f"bounds={bounds!r} are too short for the pair in row {row}, whose lengths "
            f"are {tuple(lengths[row].tolist())}: add a longer bucket."
        )
    bucket = fits.argmax(axis=1)
    for number in range(len(sides) - 1):
        rows = np.flatnonzero(bucket == number)
        bucket[rows[len(rows) - len(rows) % batch_size :]] += 1
    parts = []
    for number, cut in enumerate(sides.tolist()):
        rows = np.flatnonzero(bucket == number)
        if len(rows):
            parts.append(
                Pairs(
                    *(np.asarray(x)[rows, :n] for x, n in zip(pairs, cut, strict=True))
                )
            )
    return Buckets(tuple(parts))


def bucket_bounds(pairs: Pairs, count: int = 5) -> Bounds:
    """Return the bounds of buckets that need the least padding.

    They minimize the number of source and target tokens together, including padding. At
    most 32 lengths of each are tried; all, if there are no more.

    Args:
        pairs: The pairs, such as a training part; its bounds may serve other parts.
        count: Number of buckets, at least 1; there are fewer if lengths are few.

    Raises:
        DataError: If `count` is below 1.

    Example:
        >>> source = np.tri(8, 8, 0, int)[[0, 0, 0, 7]] * 5
        >>> bucket_bounds(Pairs(source, source), 2)
        ((1, 1), (8, 8))
    """
    if count < 1:
        raise DataError(f"count={count} must be at least 1.")
    lengths = _lengths(pairs)
    tried = [_tried(side) for side in lengths.T]
    # Number of pairs no longer than each corner (source length, target length).
    place = [np.searchsorted(t, side) for t, side in zip(tried, lengths.T, strict=True)]
    grid = np.zeros([len(t) for t in tried], int)
    np.add.at(grid, tuple(place), 1)
    held = grid.cumsum(axis=0).cumsum(axis=1).ravel()
    sides = np.stack(np.meshgrid(*tried, indexing="ij"), axis=-1).reshape(-1, 2)
    # The least work up to each corner by a number of buckets, and the corner before.
    nested = np.all(sides[:, None] <= sides, axis=2)
    more = np.where(nested, (held - held[:, None]) * sides.sum(axis=1), np.inf)
    work, before = held * sides.sum(axis=1).astype(float), []
    for _ in range(count - 1):
        through = work[:, None] + more
        before.append(through.argmin(axis=0))
        work = through.min(axis=0)
    corner, chosen = len(sides) - 1, []
    for earlier in [*reversed(before), None]:
        chosen.append(corner)
        corner = corner if earlier is None else int(earlier[corner])
    return tuple(dict.fromkeys(tuple(sides[n].tolist()) for n in reversed(chosen)))


def _tried(lengths: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " tried"]:
    """Return the lengths to try as bounds, including the longest."""
    every = np.unique(lengths)
    if len(every) <= _MOST_LENGTHS:
        return every
    shares = np.linspace(0, 1, _MOST_LENGTHS)
    return np.unique(np.quantile(lengths, shares, method="higher"))


def _lengths(pairs: Pairs) -> Int[np.ndarray, "pairs 2"]:
    """Return the number of tokens of each source and target."""
    return np.stack([(np.asarray(x) != PAD).sum(axis=1) for x in pairs], axis=1)
