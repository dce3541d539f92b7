"""Variables as a safetensors file: names and arrays only, and no executable code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fdl.arrays import Array, PyTree
from fdl.learner import State
from fdl.runs.seal import read_sealed, write_sealed
from fdl.weights import require_finite, require_same_arrays


def save_weights(path: Path | str, state: State) -> None:
    """Write the variables of a state's models, atomically.

    Arrays are named by their path, such as `params/conv1/kernel`. Additions of the
    learner to the state, such as a moving average, are in checkpoints only. The file
    contains the number of updates made, and a checksum.
    """
    write_sealed(path, named_variables(state.variables), int(state.step))


def load_weights(path: Path | str, state: State) -> State:
    """Return `state` with the variables of a file.

    Raises:
        WeightsError: If the file cannot be read, or an array is missing, unexpected, of
            another shape or type, or not finite; the message names the file and the
            array.
    """
    found = read_sealed(path, lambda arrays: require_fit(arrays, state, path))
    require_finite(found, path)
    return state.with_variables(fill(state.variables, found))


def require_fit(arrays: Mapping[str, Any], state: State, path: Path | str) -> None:
    """Raise WeightsError unless arrays are the variables of a state.

    Args:
        arrays: The arrays, or their outlines, by name.
        state: The state, of which only shapes and types are used.
        path: The file of the arrays, for the message.
    """
    require_same_arrays(arrays, named_variables(state.variables), path)


def named_variables(variables: PyTree) -> dict[str, Any]:
    """Return variables by their path.

    Example:
        >>> list(named_variables({"params": {"conv1": {"bias": jax.numpy.zeros(3)}}}))
        ['params/conv1/bias']
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }


def fill(variables: PyTree, named: Mapping[str, Array]) -> PyTree:
    """Return variables with their arrays replaced by those of the same names."""
    leaves = [named[name] for name in named_variables(variables)]
    return jax.tree.unflatten(jax.tree.structure(variables), leaves)
