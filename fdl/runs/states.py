"""States as files of Orbax: all that training needs to go on, kept whole."""

import hashlib
import json
import shutil
from pathlib import Path

import jax

from fdl.files import json_text, write_whole
from fdl.learner import State
from fdl.runs.errors import RunError

_DIGESTS = "sha256.json"


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

    unfinished = path.absolute().with_name(f".{path.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(unfinished, state._asdict())
    files = sorted(file for file in unfinished.rglob("*") if file.is_file())
    digests = {file.relative_to(unfinished).as_posix(): _sha256(file) for file in files}
    write_whole(unfinished / _DIGESTS, json_text(digests).encode())
    unfinished.rename(path)


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

    # Orbax reads all arrays at once. Where one of them is damaged it reports many
    # errors, some of them from threads that outlive the call.
    if damaged := _first_damaged(path):
        raise RunError(
            f"the state in {path} cannot be restored: {damaged} is missing or damaged."
        )
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            return State(**checkpointer.restore(path.absolute(), shapes._asdict()))
    except (ValueError, OSError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"the state in {path} cannot be restored: {reason}") from error


def _first_damaged(path: Path) -> str | None:
    """Return the name of a file that is not as it was written; None if all are."""
    try:
        digests = json.loads((path / _DIGESTS).read_text("utf-8"))
        for name, digest in digests.items():
            if _sha256(path / name) != digest:
                return name
    except FileNotFoundError as error:
        return Path(error.filename).relative_to(path).as_posix()
    except (ValueError, AttributeError):
        return _DIGESTS
    return None


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
