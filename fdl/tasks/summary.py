"""Layers of the models of a run."""

from fdl.architecture import Summary
from fdl.keras.graph.model import KerasModel
from fdl.layers import summary
from fdl.learners.modules import mode
from fdl.tasks.assemble import frozen_layers
from fdl.tasks.task import Task, Trained


class Summaries(dict[str, Summary]):
    """The models of a run by name; as text, a table for each."""

    def __str__(self) -> str:
        """Return the tables."""
        return "\n\n".join(map(str, self.values()))


def summaries(task: Task, trained: Trained, levels: int | None = None) -> Summaries:
    """Return the layers of the models of a run; see `fdl.summary`.

    Args:
        task: The task of the run.
        trained: The run, whose state only needs shapes.
        levels: Number of nested levels of layers to show; None for all.
    """
    found = Summaries()
    freeze = frozen_layers(trained.config, trained.model, trained.info)
    for name, (model, variables, inputs) in task.parts(trained).items():
        fixed = model.frozen if isinstance(model, KerasModel) else ()
        frozen = (*freeze, *fixed)
        how = {"levels": levels, "frozen": frozen} | mode(model, train=False)
        found[name] = summary(model, variables, *inputs, **how)
    return found
