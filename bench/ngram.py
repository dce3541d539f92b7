"""N-gram baseline of the language model on python-docs.

    python -m bench.ngram

N-grams of each order are counted on the training text and interpolated with the next
lower order (Witten & Bell, 1991): the weight of the shorter context is the fraction of
tokens that were new when they followed the context. Bits per character are averaged
over the same characters as for the model, with contexts limited to a window of the test
text. Nothing is selected: all of the training text is counted, like in `fdl train
language-model --validation none`.
"""

import collections
import math

import numpy as np

from fdl import data

ORDERS = range(1, 9)


def train(token: np.ndarray, order: int) -> list[dict]:
    """Count the tokens that follow each context of up to `order - 1` tokens."""
    text = token.tolist()
    counts = [collections.defaultdict(collections.Counter) for _ in range(order)]
    for i, one in enumerate(text):
        for n in range(min(order, i + 1)):
            counts[n][tuple(text[i - n : i])][one] += 1
    return counts


def probability(counts: list[dict], context: list[int], one: int, vocab: int) -> float:
    """Return the smoothed probability of a token after a context."""
    chance = 1 / vocab
    for n, table in enumerate(counts):
        if n > len(context):
            break
        seen = table.get(tuple(context[len(context) - n :]))
        if seen:
            total, kinds = seen.total(), len(seen)
            chance = (seen[one] + kinds * chance) / (total + kinds)
    return chance


def main() -> None:
    """Print bits per character for each order."""
    loaded = data.load("python-docs", validation=None)
    text = np.append(loaded.train.token.ravel(), loaded.train.target[-1, -1])
    counts = train(text, max(ORDERS))
    windows = np.concatenate(
        [loaded.test.token, loaded.test.target[:, -1:]], axis=1
    ).tolist()
    for order in ORDERS:
        bits = [
            -math.log2(
                probability(
                    counts[:order],
                    window[max(0, i - order + 1) : i],
                    window[i],
                    loaded.info.num_classes,
                )
            )
            for window in windows
            for i in range(1, len(window))
        ]
        print(f"{order}-gram  {sum(bits) / len(bits):.3f} bits per character")


if __name__ == "__main__":
    main()
