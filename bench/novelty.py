"""Detection of images unlike the training images: MNIST against Fashion-MNIST.

    python -m bench.novelty [--data-dir DIR]

Compares the score of fdl's runs (`fdl.data.novelty_detector`), which does not depend on
the model, with three scores of a trained network: the maximum of its softmax (Hendrycks
& Gimpel, 2017), its energy (Liu et al., 2020), and the Mahalanobis distance of its last
hidden features from the nearest class (Lee et al., 2018). The threshold of each is the
99th percentile over the held-out images. Writes bench/results/novelty.json.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from scipy import special, stats

import fdl
from fdl.arrays import unit_scale
from fdl.runs.environment import made_with

RESULTS = Path(__file__).parent / "results"
RATE = 0.01
Score = Callable[[np.ndarray], np.ndarray]


def main(data_dir: Path | None = None) -> None:
    """Train, measure, and write the result.

    Args:
        data_dir: Folder of the original data files.
    """
    names = ("mnist", "fashion_mnist")
    sets = {name: fdl.data.load(name, data_dir=data_dir) for name in names}
    rows = []
    for name, other in (names, names[::-1]):
        known, unknown = sets[name], sets[other].test.image
        detector = fdl.data.novelty_detector(known.train.image, known.validation.image)
        scores: dict[tuple[str, str], Score] = {
            ("any", "principal components"): detector.novelty
        }
        for task in ("mlp", "cnn"):
            with tempfile.TemporaryDirectory() as folder:
                run = fdl.runs.train(
                    task, dataset=name, data_dir=data_dir, path=folder, epochs=3
                )
            for title, score in network_scores(run, known.train).items():
                scores[task, title] = score
        for (task, title), score in scores.items():
            row = {"trained on": name, "against": other, "model": task, "score": title}
            row |= measure(score, known, unknown)
            rows.append(row)
            print(row)
    result = {"rate": RATE, "rows": rows, **made_with()}
    (RESULTS / "novelty.json").write_text(json.dumps(result, indent=1) + "\n")


def measure(score: Score, known: fdl.data.Dataset, unknown: Any) -> dict[str, float]:
    """Return the area under the ROC curve, and both rates at the threshold."""
    held_out, inside, outside = (
        score(x) for x in (known.validation.image, known.test.image, unknown)
    )
    threshold = np.quantile(held_out, 1 - RATE)
    ranks = stats.rankdata(np.concatenate([inside, outside]))[len(inside) :]
    pairs = len(inside) * len(outside)
    least = len(outside) * (len(outside) + 1) / 2
    return {
        "auroc": round(float((ranks.sum() - least) / pairs), 4),
        "false_alarms": round(float(np.mean(inside > threshold)), 4),
        "found": round(float(np.mean(outside > threshold)), 4),
    }


def network_scores(run: fdl.runs.Run, train: fdl.Batch) -> dict[str, Score]:
    """Return the scores based on a classifier's logits and hidden features."""

    @jax.jit
    def answers(images: Any) -> Any:
        logits, kept = run.model.apply(
            run.variables,
            unit_scale(images),
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        hidden = [x for x in jax.tree.leaves(kept) if x.ndim == 2]
        return logits, [x for x in hidden if x.shape != logits.shape][-1]

    def of(images: Any) -> tuple[np.ndarray, np.ndarray]:
        each = [answers(images[k : k + 500]) for k in range(0, len(images), 500)]
        logits, hidden = (np.concatenate(x) for x in zip(*each, strict=True))
        return logits, hidden

    features, label = of(train.image[:10_000])[1], np.asarray(train.label[:10_000])
    means = np.stack([features[label == k].mean(axis=0) for k in range(10)])
    spread = np.cov((features - means[label]).T) + 1e-3 * np.eye(len(means[0]))
    inverse = np.linalg.inv(spread)

    def mahalanobis(images: np.ndarray) -> np.ndarray:
        away = of(images)[1][None] - means[:, None]
        return np.einsum("cni,ij,cnj->cn", away, inverse, away, optimize=True).min(0)

    return {
        "maximum of softmax": lambda x: -special.softmax(of(x)[0], axis=1).max(axis=1),
        "energy": lambda x: -special.logsumexp(of(x)[0].astype(float), axis=1),
        "Mahalanobis distance of features": mahalanobis,
    }


if __name__ == "__main__":
    tyro.cli(main)
