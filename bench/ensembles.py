"""Quality of ensembles of the tutorial's CNN on MNIST, by size.

    python -m bench.ensembles [--members 16] [--data-dir DIR]

Trains the members with `fit_many`, with the settings of `fdl train cnn --schedule
one-cycle`, and evaluates ensembles of 1, 2, 4, ... members on the test set. Settings
are fixed and no member is selected, so training uses all 60,000 images. Writes
bench/results/ensembles.json, and reliability diagrams of one member and of all.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import fdl
from fdl.metrics import ensemble_quality, reliability
from fdl.report import draw_reliability
from fdl.runs.environment import made_with
from fdl.tasks import find

RESULTS = Path(__file__).parent / "results"


def main(members: int = 16, data_dir: Path | None = None) -> None:
    """Train, measure, and write the result.

    Args:
        members: Number of members.
        data_dir: Folder of the original data files.
    """
    task = find("cnn")
    config = task.config(schedule="one-cycle")
    data = fdl.data.load(config.dataset, data_dir=data_dir, validation=None)
    model = task.make_model(config.options, data.info)
    learner = task.learn(model, config, data.info)
    run = fdl.fit_many(
        lambda hparams: learner,
        {},
        data.train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        keys=jax.vmap(jax.random.key)(np.arange(members)),
        on_end=lambda done, _: print(f"member {done[-1] + 1} of {members}"),
    )
    label = np.asarray(data.test.label)
    each = fdl.predict_many(learner, run.state, data.test.image)
    sizes = ensemble_quality(each, label)
    result: dict[str, Any] = {
        "accuracy": [float(np.mean(one.argmax(axis=-1) == label)) for one in each],
        "sizes": [size._asdict() for size in sizes],
        "seconds": run.seconds,
        **made_with(),
    }
    (RESULTS / "ensembles.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, probabilities, title in (
        ("one", each[0], "one CNN"),
        ("all", each.mean(axis=0), f"{members} CNNs together"),
    ):
        found = reliability(probabilities, label)
        file = RESULTS / "pictures" / f"reliability-{name}.png"
        draw_reliability(file, found, title=title)
    for size in sizes:
        print(size)


if __name__ == "__main__":
    tyro.cli(main)
