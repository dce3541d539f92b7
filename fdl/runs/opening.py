"""Open runs, imported models and exported functions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdl import tasks
from fdl.export import ExportedFunction, read_stablehlo
from fdl.runs.folder import RunFolder
from fdl.runs.record import provenance, read
from fdl.runs.run import Run
from fdl.runs.weights import require_fit
from fdl.tasks import Task
from fdl.untrusted import parse_json
from fdl.weights import declared_arrays

if TYPE_CHECKING:
    from fdl.runs.imported import ImportedModel


def load(
    path: Path | str, *, model: Any = None, task: str | Task | None = None
) -> "Run | ExportedFunction | ImportedModel":
    """Load the run in a folder, or the function in a `.stablehlo` file.

    See `open_run` for runs, and `fdl.export.ExportedFunction`. A folder of `fdl import`
    is loaded as a `fdl.runs.ImportedModel`.

    Args:
        path: The folder or the file.
        model: As for `open_run`.
        task: As for `open_run`.

    Raises:
        ExportError: If the file is damaged, or was not written by fdl.
        RunError: If the folder contains no run, or one of an older version, or one of
            its files is damaged.
        WeightsError: If its weights are damaged or do not fit its model.
    """
    path = Path(path)
    if path.suffix == ".stablehlo":
        return read_stablehlo(path)
    if (said := _config_of_imported(path)) is not None:
        from fdl.runs.imported import open_imported

        return open_imported(path, said)
    return open_run(path, model=model, task=task)


def _config_of_imported(path: Path) -> dict[str, Any] | None:
    """Return the `config.json` of a folder of `fdl import`; None for other folders."""
    file = path / "config.json"
    try:
        if file.stat().st_size > _LONGEST:
            return None
        said = parse_json(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    is_imported = isinstance(said, dict) and set(said) == _OF_IMPORTED
    return said if is_imported else None


_OF_IMPORTED = {"keras_model", "keras_version"}
_LONGEST = 1 << 24  # bytes of a description


def open_run(
    path: Path | str, *, model: Any = None, task: str | Task | None = None
) -> Run:
    """Load the run in a folder.

    Its state has the weights of the last epoch, or of the best if training stopped
    early, with a fresh optimizer state. If the learner has more than weights, such as a
    moving average, the state is the one in the checkpoint of that epoch.

    Args:
        path: The folder.
        model: The model that was trained, for a task that trains one of yours; see
            `fdl.runs.train`. It is compared with the name in the folder, which is never
            imported.
        task: The task, if it is one of yours; or its `MODULE:NAME`.

    Raises:
        RunError: If the folder contains no run, or one of an older version, or one of
            its files is damaged.
        ValueError: If the model or the task must be named, or is another one.
        WeightsError: If its weights are damaged or do not fit its model.

    Example:
        >>> import fdl.runs, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = fdl.runs.train("mlp", dataset="mnist-5k", epochs=1, path=folder)
        ...     run = open_run(folder)
        >>> run.config.epochs, sorted(run.result["metrics"])
        (1, ['accuracy', 'loss'])
    """
    folder = RunFolder.open(Path(path))
    found, trained, data_dir = read(folder, model=model, task=task)
    if folder.weights.is_file():  # before memory is taken for a model of any size
        require_fit(declared_arrays(folder.weights), trained.state, folder.weights)
    state, epoch = folder.load(tasks.draw_state(trained))
    return Run(
        trained.config,
        trained.info,
        trained.model,
        trained.learner,
        state,
        task=found,
        path=folder.path,
        data_dir=data_dir,
        history=folder.history(),
        result=folder.result(),
        epoch=epoch,
        **provenance(folder.config()),
    )
