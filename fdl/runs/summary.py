"""Of what layers runs, tasks and imported models consist."""

from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.arrays import PyTree
from fdl.keras.graph.arrays import examples
from fdl.keras.graph.model import KerasModel
from fdl.layers import Summary, summary
from fdl.learners.modules import mode
from fdl.runs.settings import configured
from fdl.tasks import Config, Task, Trained


class Summaries(dict[str, Summary]):
    """The models of a run by name; as text, a table for each."""

    def __str__(self) -> str:
        """Return the tables."""
        return "\n\n".join(map(str, self.values()))


def summaries(task: Task, trained: Trained, levels: int | None = None) -> Summaries:
    """Return the layers of the models of a run; see `fdl.summary`."""
    found = Summaries()
    for name, (model, variables, inputs) in task.parts(trained).items():
        fixed = model.frozen if isinstance(model, KerasModel) else ()
        frozen = (*trained.config.freeze, *fixed)
        how = {"levels": levels, "frozen": frozen} | mode(model, train=False)
        found[name] = summary(model, variables, *inputs, **how)
    return found


def layers_of_imported(
    model: KerasModel, variables: PyTree, levels: int | None = None
) -> Summary:
    """Return the layers of a model of Keras; inputs of any size are 32 long."""
    inputs, how = examples(model.graph, 32), {"levels": levels, "frozen": model.frozen}
    return summary(model, variables, *inputs, **how)


def summarize(
    task: str | Task | Config,
    *,
    model: Any = None,
    levels: int | None = None,
    data_dir: Path | str | None = None,
    **settings: Any,
) -> Summaries:
    """Return the layers of the models that a task would train; see `fdl.summary`.

    Args:
        task: Name of a task, or a task of your own, or all settings of a run.
        model: Of a task that trains a model of yours, as for `fdl.runs.train`.
        levels: How many levels of layers within layers to tell apart; None for all.
        data_dir: Folder to look for the data in, before the usual places.
        settings: Settings by name where `task` is a name; see `fdl.runs.configure`.

    Raises:
        DataError: If the data cannot be had.
        ValueError: If a setting is wrong.

    Example:
        >>> found = summarize("resnet", dataset="mnist-5k", depth=14, levels=1)
        >>> found["model"].trained, found["model"].layers[2].name
        (174970, 'conv2_block1')
    """
    found, config = configured(task, model, settings, data_dir)
    where = None if data_dir is None else Path(data_dir)
    info = tasks.load(found, config, data_dir=where).info
    return summaries(found, tasks.outline(found, config, info), levels)
