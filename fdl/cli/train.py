"""`fdl train`."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax

from fdl import data, tasks
from fdl.arrays import PyTree
from fdl.cli.command import (
    OptionalPath,
    ToTrain,
    for_each_task,
    out,
    shown,
)
from fdl.cli.environment import commit, device, since_process_start, versions
from fdl.cli.progress import TrainingProgress
from fdl.cli.trained import draw_state, record
from fdl.keras import load_weights
from fdl.learner import State
from fdl.train import DivergenceError, Fit, RunFolder, fit, fresh_path


@dataclasses.dataclass(frozen=True)
class Train(ToTrain):
    """Train a model on a data set; keep weights, metrics and pictures in a folder.

    Attributes:
        init_from: Keras weights to start from, a .keras or .weights.h5 file, instead of
            random ones; the model that they are from must be the task's.
        run: Folder of the run; a new one below `runs` if not given.
        overwrite: Replace the run that is in the folder.
    """

    init_from: OptionalPath = None
    run: OptionalPath = None
    overwrite: bool = False

    def __call__(self) -> None:
        """Train."""
        seconds = {"import": since_process_start()}
        task = tasks.find(self.task)
        config = self.config()
        started = time.perf_counter()
        dataset = self.load(config)
        seconds["data"] = time.perf_counter() - started
        data.check(dataset.train, batch_size=config.batch_size)
        trained = tasks.outline(task, config, dataset.info)
        state = self._start(task, trained)
        settings = record(config, dataset.info, self.data_dir) | {
            "init_from": None if self.init_from is None else str(self.init_from)
        }
        name = f"{config.task}-{config.dataset}"
        path = fresh_path(Path("runs"), name) if self.run is None else self.run
        folder = RunFolder.create(path, settings, overwrite=self.overwrite)

        steps = -(-dataset.info.train_count // config.batch_size)
        with TrainingProgress(name, steps, config.epochs) as progress:

            def on_epoch(line: PyTree, state: PyTree) -> None:
                folder.log(line, state)
                progress.on_epoch(line)
                now = trained._replace(state=state)
                task.draw(now, dataset, folder.path, line.epoch)

            try:
                run = fit(
                    trained.learner,
                    dataset.train,
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    key=jax.random.key(config.seed),
                    eval_data=dataset.test,
                    state=state,
                    steps_per_chunk=max(1, steps // 10),
                    on_chunk=progress.on_chunk,
                    on_epoch=on_epoch,
                )
            except DivergenceError as error:
                folder.save(error.state)
                raise
        started = time.perf_counter()
        trained = trained._replace(state=run.state)
        measured = task.finish(trained, dataset, folder.path)
        seconds |= {**run.seconds, "finish": time.perf_counter() - started}
        result = _result(trained, run, measured, seconds)
        folder.write_json("result.json", result)
        _draw_curves(folder, name, run)
        written = {"run folder": folder.path} | {
            file.name: file
            for file in sorted(folder.path.iterdir())
            if file.suffix in (".png", ".gif")
        }
        width = max(map(len, written)) + 2
        out.print(
            f"test {task.metric} {shown(task.metric, result['metrics'][task.metric])} "
            f"on {config.dataset} ({dataset.info.test_count:,} examples)",
            *(f"{what:<{width}}{path}" for what, path in written.items()),
            sep="\n",
            soft_wrap=True,
        )

    def _start(self, task: tasks.Task, fresh: tasks.Trained) -> State | None:
        """Return the state to start from, or None for a random one."""
        if self.init_from is None:
            return None
        parts = task.parts(fresh)
        if len(parts) > 1:
            raise ValueError(
                f"init_from={str(self.init_from)!r} has one model, but task "
                f"{task.name!r} trains several: {', '.join(parts)}."
            )
        (part,) = parts.values()
        variables = load_weights(self.init_from, part.model, *part.inputs)
        like = jax.tree.map(lambda x, y: x.astype(y.dtype), variables, part.variables)
        return draw_state(fresh)._replace(**like)


def commands() -> Any:
    """Return `fdl train TASK` for each task, as a union of subcommands."""
    return for_each_task(Train, "Train the {}.")


def _result(
    trained: tasks.Trained,
    run: Fit,
    measured: dict[str, float],
    seconds: dict[str, float],
) -> PyTree:
    last = run.history[-1]
    config, info = trained.config, trained.info
    return {
        "task": config.task,
        "options": dataclasses.asdict(config.options),
        "dataset": info.name,
        "counts": {"train": info.train_count, "test": info.test_count},
        "checksum": info.checksum,
        "parameters": sum(x.size for x in jax.tree.leaves(run.state.params)),
        "epochs": config.epochs,
        "seed": config.seed,
        "metrics": {**last.eval, **measured},
        "seconds": seconds,
        "steps_per_second": last.step / seconds["train"],
        "device": device(),
        "versions": versions(),
        "commit": commit(),
    }


def _draw_curves(folder: RunFolder, name: str, run: Fit) -> None:
    from fdl import report  # matplotlib takes half a second, wanted only here

    def curves(which: str) -> dict[str, list[float]]:
        lines = [getattr(line, which) for line in run.history]
        return {metric: [line[metric] for line in lines] for metric in lines[0]}

    report.draw_curves(
        folder.path / "curves.png", curves("train"), curves("eval"), title=name
    )
