"""`fdl train`."""

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro

from fdl import data, tasks
from fdl.arrays import PyTree
from fdl.cli.command import (
    Command,
    OptionalFloat,
    OptionalInt,
    OptionalName,
    OptionalPath,
    out,
)
from fdl.cli.environment import commit, device, since_process_start, versions
from fdl.cli.progress import TrainingProgress
from fdl.keras import load_weights
from fdl.learner import Learner, State
from fdl.metrics import confusion_matrix
from fdl.train import DivergenceError, Fit, RunFolder, fit, fresh_path, predict


@dataclasses.dataclass(frozen=True)
class Train(Command):
    """Train a model on a data set; keep weights, metrics and pictures in a folder.

    Attributes:
        task: What to train; `fdl tasks` lists them.
        dataset: Data set; the task's first if not given. `fdl data list` lists them.
        data_dir: Folder to look for the data in, before the usual places.
        epochs: Passes over the training data.
        batch_size: Examples in an update.
        learning_rate: Highest learning rate.
        schedule: How the learning rate changes: `constant` or `one-cycle`.
        seed: Source of all randomness.
        init_from: Keras weights to start from, a .keras or .weights.h5 file, instead of
            random ones; the model that they are from must be the task's.
        run: Folder of the run; a new one below `runs` if not given.
        overwrite: Replace the run that is in the folder.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    dataset: OptionalName = None
    data_dir: OptionalPath = None
    epochs: OptionalInt = None
    batch_size: OptionalInt = None
    learning_rate: OptionalFloat = None
    schedule: OptionalName = None
    seed: int = 0
    init_from: OptionalPath = None
    run: OptionalPath = None
    overwrite: bool = False

    def __call__(self) -> None:
        """Train."""
        seconds = {"import": since_process_start()}
        task = tasks.find(self.task)
        config = task.config(
            dataset=self.dataset,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            seed=self.seed,
        )
        started = time.perf_counter()
        dataset = data.load(config.dataset, data_dir=self.data_dir)
        seconds["data"] = time.perf_counter() - started
        data.check(dataset.train, batch_size=config.batch_size)
        learner = task.make_learner(config, dataset.info)
        start = self._start(task, learner, config, dataset)
        settings = {
            **dataclasses.asdict(config),
            "init_from": None if self.init_from is None else str(self.init_from),
            "data_dir": None if self.data_dir is None else str(self.data_dir),
            "data": dataset.info._asdict(),
            "versions": versions(),
        }
        name = f"{config.task}-{config.dataset}"
        path = fresh_path(Path("runs"), name) if self.run is None else self.run
        folder = RunFolder.create(path, settings, overwrite=self.overwrite)

        steps = -(-dataset.info.train_count // config.batch_size)
        with TrainingProgress(name, steps, config.epochs) as progress:

            def on_epoch(line: PyTree, state: PyTree) -> None:
                folder.log(line, state)
                progress.on_epoch(line)

            try:
                run = fit(
                    learner,
                    dataset.train,
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    key=jax.random.key(config.seed),
                    eval_data=dataset.test,
                    state=start,
                    steps_per_chunk=max(1, steps // 10),
                    on_chunk=progress.on_chunk,
                    on_epoch=on_epoch,
                )
            except DivergenceError as error:
                folder.save(error.state)
                raise
        probabilities = predict(learner, run.state, dataset.test.image)
        seconds |= run.seconds
        folder.write_json("result.json", _result(config, dataset, run, seconds))
        _draw(folder, name, dataset, run, probabilities)
        accuracy = run.history[-1].eval["accuracy"]
        out.print(
            f"test accuracy {accuracy:.2%} on {config.dataset} "
            f"({dataset.info.test_count:,} images)\n"
            f"run folder    {folder.path}\n"
            f"curves        {folder.path / 'curves.png'}\n"
            f"confusion     {folder.path / 'confusion.png'}",
            soft_wrap=True,
        )

    def _start(
        self,
        task: tasks.Task,
        learner: Learner,
        config: tasks.Config,
        dataset: data.Dataset,
    ) -> State | None:
        """Return the state to start from, or None for a random one."""
        if self.init_from is None:
            return None
        one = jax.tree.map(lambda x: x[:1], dataset.train)
        image = np.zeros(one.image.shape, np.float32)
        model = task.make_model(dataset.info)
        variables = load_weights(self.init_from, model, image)
        variables = jax.tree.map(lambda x: x.astype(np.float32), variables)
        state = jax.jit(learner.init)(jax.random.key(config.seed), one)
        return state._replace(**variables)


def _result(
    config: tasks.Config, dataset: data.Dataset, run: Fit, seconds: dict[str, float]
) -> PyTree:
    last = run.history[-1]
    info = dataset.info
    return {
        "task": config.task,
        "dataset": info.name,
        "counts": {"train": info.train_count, "test": info.test_count},
        "checksum": info.checksum,
        "parameters": sum(x.size for x in jax.tree.leaves(run.state.params)),
        "epochs": config.epochs,
        "seed": config.seed,
        "metrics": last.eval,
        "seconds": seconds,
        "steps_per_second": last.step / seconds["train"],
        "device": device(),
        "versions": versions(),
        "commit": commit(),
    }


def _draw(
    folder: RunFolder, name: str, dataset: data.Dataset, run: Fit, output: np.ndarray
) -> None:
    from fdl import report  # matplotlib takes half a second, wanted only here

    def curves(which: str) -> dict[str, list[float]]:
        lines = [getattr(line, which) for line in run.history]
        return {metric: [line[metric] for line in lines] for metric in lines[0]}

    report.draw_curves(
        folder.path / "curves.png", curves("train"), curves("eval"), title=name
    )
    info = dataset.info
    counts = confusion_matrix(
        np.asarray(dataset.test.label), output.argmax(axis=-1), info.num_classes
    )
    report.draw_confusion(
        folder.path / "confusion.png",
        counts,
        info.class_names,
        title=f"{name}: {info.test_count:,} test images",
    )
