"""The decoder-only Transformer on the characters of a text."""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fdl import losses, metrics, nn
from fdl.arrays import Array, Key
from fdl.data import Dataset, DatasetInfo
from fdl.files import write_whole
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.models import LanguageModel, generate
from fdl.tasks.catalog import describe
from fdl.tasks.classification import descend_on_settings
from fdl.tasks.config import Config
from fdl.tasks.inputs import inputs_of
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.sequence_options import LanguageModelOptions
from fdl.tasks.task import Sampling, Task, Trained


def bits(logits: Array, target: Array) -> metrics.Mean:
    """Return the cross entropy in bits, per character.

    Example:
        >>> total, count = bits(np.zeros((1, 3, 8), "f4"), np.zeros((1, 3), int))
        >>> float(total / count)
        3.0
    """
    return metrics.mean(losses.cross_entropy(logits, target) / math.log(2))


def _make_model(options: LanguageModelOptions, info: DatasetInfo) -> LanguageModel:
    decoder = nn.TransformerDecoder(
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        dropout_rate=options.dropout_rate,
        norm=options.norm,
        activation=nn.gelu,
    )
    return LanguageModel(
        info.num_classes,
        decoder,
        options.features,
        max_length=info.input_shape[0],
        positions=options.positions,
        tied=options.tied,
    )


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    optimizer = make_optimizer(config, info)
    return descend_on_settings(
        lambda loss: supervised(
            model,
            loss,
            optimizer,
            metrics={"accuracy": metrics.accuracy, "bits_per_character": bits},
            preprocess=inputs_of(info),
        ),
        config,
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `sample.txt`."""
    known = set("The ") <= set(trained.info.class_names)
    prompt = "The " if known else ""
    sampling = Sampling(prompt=prompt, length=1000, temperature=0.8)
    (text,) = _generate(trained, jax.random.key(trained.config.seed), sampling)
    write_whole(folder / "sample.txt", f"{text}\n".encode())
    return {}


def _generate(trained: Trained, key: Key, sampling: Sampling) -> list[str]:
    characters = trained.info.class_names
    number = {character: token for token, character in enumerate(characters)}
    # Generation starts from at least one character.
    prompt = sampling.prompt or ("\n" if "\n" in number else characters[0])
    unknown = sorted(set(prompt) - set(number))
    if unknown:
        raise ValueError(
            f"the prompt contains {unknown[0]!r}, which does not occur in the text "
            f"that the run was trained on; it knows {''.join(characters)!r}."
        )
    token = np.array([[number[character] for character in prompt]], np.int32)
    added = generate(
        trained.model,
        trained.variables,
        np.repeat(token, sampling.count, axis=0),
        sampling.length,
        key,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
    )
    return [
        sampling.prompt + "".join(characters[token] for token in row)
        for row in np.asarray(added)
    ]


language_model = Task(
    **vars(describe("language-model")),
    make_model=_make_model,
    learn=_learn,
    finish=_finish,
    generate=_generate,
)
