"""States as files of Orbax: all that training needs to go on, kept whole."""

from pathlib import Path

import jax

from fdl.learner import State
from fdl.runs.errors import RunError


def save_state(path: Path, state: State) -> None:
    """Write a state into a new folder, whole or not at all.

    Example:
        >>> import tempfile
        >>> state = State(jax.numpy.int32(3), {}, jax.random.key(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_state(Path(folder, "state"), state)
        ...     int(restore_state(Path(folder, "state"), state).step)
        3
    """
    import orbax.checkpoint as ocp  # a second of imports that only this needs

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), state._asdict())


def restore_state(path: Path, like: State) -> State:
    """Return the state that is in a folder.

    Args:
        path: The folder that `save_state` wrote.
        like: A state with the same shapes and types; its values are not used, so
            `jax.eval_shape` can make it.

    Raises:
        RunError: If the folder is damaged, or holds the state of another learner.
    """
    import orbax.checkpoint as ocp

    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return State(**checkpointer.restore(path.absolute(), shapes._asdict()))
    except (ValueError, OSError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"the state in {path} cannot be restored: {reason}") from error
