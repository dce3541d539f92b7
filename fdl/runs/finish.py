"""The end of a training: evaluate on the test set, draw, and write `result.json`."""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fdl import data
from fdl.arrays import is_matched
from fdl.learner import State
from fdl.runs.environment import made_with
from fdl.runs.folder import RunFolder
from fdl.runs.history import history_sha256
from fdl.runs.novelty import keep_detector
from fdl.runs.own_files import noted
from fdl.runs.weights import named_variables
from fdl.tasks import Config, Task, Trained, frozen_layers
from fdl.train import FitResult, evaluate


def finish(
    task: Task,
    trained: Trained,
    dataset: data.Dataset,
    folder: RunFolder,
    fitted: FitResult,
    *,
    seconds: Mapping[str, float],
    steps: int,
) -> dict[str, Any]:
    """Evaluate, draw, and return the content of `result.json`, which is written last.

    Args:
        task: The task that was trained.
        trained: The run.
        dataset: Its data.
        folder: Its folder.
        fitted: The result of training.
        seconds: Time spent before training, by phase.
        steps: Number of updates made in this process.
    """
    started = time.perf_counter()
    # The only use of the test set, when nothing is left to choose.
    measured = evaluate(trained.learner, trained.state, dataset.test)
    with noted(folder.path):
        measured |= task.finish(trained, dataset, folder.path)
        _draw_curves(folder.path / "curves", trained.config, fitted, task.loss_unit)
    novelty = keep_detector(folder.path, task, dataset)
    finish = time.perf_counter() - started
    spent = {**seconds, **fitted.seconds, "finish": finish}
    result = _result(trained, fitted, measured, spent, steps) | novelty
    folder.write_json("result.json", result)
    return result


def num_parameters(state: State) -> int:
    """Return the number of parameters of a state."""
    return sum(x.size for x in jax.tree.leaves(state.params))


def num_frozen(trained: Trained) -> int:
    """Return the number of frozen parameters of a run."""
    patterns = frozen_layers(trained.config, trained.model, trained.info)
    named = named_variables(trained.state.params)
    return sum(x.size for name, x in named.items() if is_matched(name, patterns))


def _result(
    trained: Trained,
    fitted: FitResult,
    measured: dict[str, float],
    seconds: dict[str, float],
    steps: int,
) -> dict[str, Any]:
    last = fitted.history[-1]
    best = fitted.history[fitted.epoch - fitted.history[0].epoch]
    config, info = trained.config, trained.info
    return {
        "task": config.task,
        "options": json.loads(json.dumps(dataclasses.asdict(config.options))),
        "dataset": info.name,
        "counts": {
            "train": info.train_count,
            "validation": info.validation_count,
            "test": info.test_count,
        },
        "checksum": info.checksum,
        "parameters": num_parameters(fitted.state),
        "epochs": fitted.epoch,
        "epochs_trained": last.epoch,
        "seed": config.seed,
        "metrics": measured,
        "validation": best.validation,
        "history_sha256": history_sha256(fitted.history),
        "seconds": seconds,
        "steps_per_second": steps / seconds["train"] if steps else None,
        **made_with(),
    }


def _draw_curves(
    path: Path, config: Config, fitted: FitResult, loss_unit: str | None
) -> None:
    from fdl import report  # importing matplotlib takes 0.5 s

    def curves(which: str) -> dict[str, list[float]]:
        lines = [getattr(line, which) for line in fitted.history]
        return {metric: [line[metric] for line in lines] for metric in lines[0]}

    name = f"{config.task}-{data.short_name(config.dataset)}"
    report.draw_curves(
        path,
        curves("train"),
        curves("validation"),
        title=name,
        loss_unit=loss_unit,
    )
