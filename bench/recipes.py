"""Results of each recipe over seeds, some with Keras for comparison.

    python -m bench.recipes [RECIPE...] [--seeds 5] [--data-dir DIR]

Each seed trains in its own process. Results are written to
bench/results/recipes/RECIPE.json after every seed; seeds already in this file are not
trained again, unless the command has changed. `python -m bench.tables` copies the
results to the site and `fdl tasks`.

Recipes have fixed settings and select nothing, so they train on all training examples,
like Keras and the papers that they are compared with. Exceptions are the sample, which
is trained as a new user would, with a sixth held out, and music, which uses its
published training set. The test set is evaluated once, at the end.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from fdl.runs.listing import read_json

RESULTS = Path(__file__).parent / "results" / "recipes"


class Recipe(NamedTuple):
    """A command that trains a model, and the metrics to show.

    Attributes:
        title: Short description.
        command: Command that accepts `--seed`, `--run` and `--data-dir`; `python` is
            the current interpreter, and `FOLD` becomes 1 + seed % 10, so that each of
            ten seeds has its own test fold.
        metrics: Metrics to show, by their names in result.json, most important first.
    """

    title: str
    command: str
    metrics: tuple[str, ...] = ("accuracy",)


_TRANSLATED = (
    "exact_match",
    "error_rate",
    "baseline_exact_match",
    "baseline_error_rate",
)
_GENERATED = (
    "frechet_distance",
    "precision",
    "recall",
    "classes",
    "memorization",
)

RECIPES: dict[str, Recipe] = {
    "cnn": Recipe("CNN, constant rate", "fdl train cnn --validation none"),
    "cnn-keras": Recipe(
        "the same in Keras (TensorFlow)", "python -m bench.keras_classifier cnn"
    ),
    "cnn-one-cycle": Recipe(
        "CNN, one-cycle rate", "fdl train cnn --schedule one-cycle --validation none"
    ),
    "mnist-fast": Recipe(
        "fast CNN, two passes", "fdl train mnist-fast --validation none"
    ),
    "cnn-5k": Recipe("CNN, 5,000-digit sample", "fdl train cnn --dataset mnist-5k"),
    "lenet5": Recipe(
        "LeNet-5, as in the paper",
        "fdl train lenet5 --optimizer adamw --weight-decay 0.1 --validation none",
    ),
    "lenet5-digits": Recipe(
        "LeNet-5, shifts and rotations",
        "fdl train lenet5 --augment digits --validation none",
    ),
    "resnet": Recipe("ResNet-8, 3 epochs", "fdl train resnet --validation none"),
    **{
        f"{name}-fashion": Recipe(
            f"{title}, Fashion-MNIST, 10 epochs",
            f"fdl train {command} --dataset fashion_mnist --epochs 10 "
            "--augment photos --validation none",
        )
        for name, title, command in (
            ("resnet", "ResNet-8", "resnet"),
            ("resnet-14", "ResNet-14", "resnet --depth 14"),
            ("resnet-14-se", "ResNet-14 with gates", "resnet --depth 14 --se"),
            ("densenet", "DenseNet-22", "densenet"),
            ("vgg", "VGG", "vgg"),
            ("googlenet", "GoogLeNet", "googlenet"),
            (
                "googlenet-one-head",
                "GoogLeNet without auxiliary heads",
                "googlenet --no-auxiliary",
            ),
        )
    },
    **{
        f"{name}-cifar": Recipe(
            f"{title}, CIFAR-10 as JPEG, {epochs} epochs",
            f"fdl train {command} --dataset folder:cifar10-jpeg --epochs {epochs} "
            "--augment photos --validation none",
        )
        for name, title, command, epochs in (
            ("alexnet", "AlexNet", "alexnet", 10),
            (
                "alexnet-no-response-norm",
                "AlexNet without response normalization",
                "alexnet --no-response-norm",
                10,
            ),
            ("resnet-20", "ResNet-20", "resnet --depth 20", 12),
            (
                "plain-20",
                "the same without shortcuts",
                "resnet --depth 20 --shortcut none",
                12,
            ),
        )
    },
    **{
        f"{name}-dates": Recipe(
            f"{title}, dates of 41 languages",
            f"fdl train {name} --dataset dates",
            _TRANSLATED,
        )
        for name, title in (
            ("seq2seq", "encoder-decoder"),
            ("attention", "attention"),
            ("translator", "Transformer"),
        )
    },
    **{
        f"{name}-cmudict": Recipe(
            f"{title}, words to phones, 10 epochs",
            f"fdl train {command} --dataset cmudict --epochs 10",
            _TRANSLATED,
        )
        for name, title, command in (
            ("seq2seq", "encoder-decoder", "seq2seq"),
            ("seq2seq-forward", "the same read forwards", "seq2seq --no-reverse"),
            ("attention", "attention", "attention"),
            ("translator", "Transformer", "translator"),
        )
    },
    "mlp": Recipe("MLP, one hidden layer", "fdl train mlp --validation none"),
    "rnn": Recipe("simple RNN, rows", "fdl train rnn --validation none"),
    "rnn-keras": Recipe(
        "the same in Keras (TensorFlow)", "python -m bench.keras_classifier rnn"
    ),
    "lstm": Recipe("LSTM, rows", "fdl train lstm --validation none"),
    "lstm-keras": Recipe(
        "the same in Keras (TensorFlow)", "python -m bench.keras_classifier lstm"
    ),
    "gru": Recipe("GRU, rows", "fdl train gru --validation none"),
    "gru-keras": Recipe(
        "the same in Keras (TensorFlow)", "python -m bench.keras_classifier gru"
    ),
    "gru-one-cycle": Recipe(
        "GRU, rows, one-cycle rate, 10 epochs",
        "fdl train gru --schedule one-cycle --epochs 10 --validation none",
    ),
    "gan": Recipe("DCGAN", "fdl train gan --validation none", _GENERATED),
    "gan-dense": Recipe(
        "one-layer GAN",
        "fdl train gan --architecture dense --validation none",
        _GENERATED,
    ),
    "transformer": Recipe(
        "Transformer, patches", "fdl train transformer --validation none"
    ),
    "vae": Recipe(
        "VAE, binarized once",
        "fdl train vae --validation none",
        ("elbo", "importance_bound"),
    ),
    "vae-constant": Recipe(
        "VAE, constant rate",
        "fdl train vae --schedule constant --validation none",
        ("elbo", "importance_bound"),
    ),
    "autoencoder": Recipe(
        "autoencoder", "fdl train autoencoder --validation none", ("squared_error",)
    ),
    "language-model": Recipe(
        "language model, characters",
        "fdl train language-model --validation none",
        ("bits_per_character", "accuracy"),
    ),
    **{
        f"textcnn-{name}": Recipe(
            f"TextCNN, {title}",
            f"fdl train textcnn --dataset {line} --validation none",
            ("accuracy", "baseline_accuracy"),
        )
        for name, title, line in (
            ("trec", "TREC questions", "trec"),
            ("mr", "MR in ten folds", "mr?fold=FOLD"),
            ("subj", "Subj in ten folds", "subj?fold=FOLD"),
        )
    },
    **{
        f"music-{cell}": Recipe(
            f"next frame of JSB Chorales, {title}",
            f"fdl train music --cell {cell}{more}",
            ("nats_per_frame", "baseline_nats_per_frame"),
        )
        for cell, title, more in (
            ("gru", "GRU", ""),
            ("lstm", "LSTM", ""),
            ("rnn", "simple RNN", " --hidden-size 100 --learning-rate 1.5e-2"),
        )
    },
}


def train(recipe: str, seed: int, data_dir: Path | None) -> dict[str, Any]:
    """Train one seed in a new process and return its result.json."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = RECIPES[recipe].command.split()
        words = [sys.executable if word == "python" else word for word in words]
        words = [word.replace("folder:", f"folder:{data_dir}/") for word in words]
        words = [word.replace("FOLD", str(1 + seed % 10)) for word in words]
        words += ["--seed", str(seed), "--run", str(run)]
        if data_dir is not None:
            words += ["--data-dir", str(data_dir)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            words,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": path},
        )
        return read_json(run / "result.json")


def summarize(
    runs: dict[str, dict[str, Any]], metrics: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation, minimum and maximum of each metric."""
    summary = {}
    for metric in metrics:
        found = [run["metrics"][metric] for run in runs.values()]
        summary[metric] = {
            "mean": statistics.fmean(found),
            "sd": statistics.stdev(found) if len(found) > 1 else 0.0,
            "min": min(found),
            "max": max(found),
        }
    return summary


def keep(recipe: str, runs: dict[str, dict[str, Any]]) -> None:
    """Write a recipe's result file."""
    content = {
        "recipe": recipe,
        "command": RECIPES[recipe].command,
        "summary": summarize(runs, RECIPES[recipe].metrics),
        "runs": runs,
    }
    (RESULTS / f"{recipe}.json").write_text(json.dumps(content, indent=1) + "\n")


def main(
    recipes: tyro.conf.Positional[tuple[str, ...]],
    /,
    *,
    seeds: int = 3,
    data_dir: Path | None = None,
) -> None:
    """Measure recipes.

    Args:
        recipes: Names of recipes; all by default.
        seeds: Number of seeds, from 0.
        data_dir: Folder of the original data files, and of the folders of images.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    for recipe in recipes or tuple(RECIPES):
        file = RESULTS / f"{recipe}.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        same = found.get("command") == RECIPES[recipe].command
        runs = found["runs"] if same else {}
        for seed in map(str, range(seeds)):
            if seed in runs:
                continue
            runs[seed] = train(recipe, int(seed), data_dir)
            keep(recipe, runs)
            shown = {
                name: runs[seed]["metrics"][name] for name in RECIPES[recipe].metrics
            }
            print(f"{recipe} seed {seed}: {shown}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
