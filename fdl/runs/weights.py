"""Variables as a safetensors file: names and arrays, and nothing that could run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fdl.arrays import Array, PyTree
from fdl.files import write_whole
from fdl.learner import State
from fdl.weights import WeightsError, describe


def save_weights(path: Path | str, state: State) -> None:
    """Write the variables of a state's models, whole or not at all.

    Arrays are named by their path, such as `params/conv1/kernel`. What the learner adds
    to the state, such as a moving average, is in checkpoints alone.
    """
    named = named_variables(state.variables)
    # In order, since safetensors writes memory as it lies.
    arrays = {name: np.array(leaf, order="C") for name, leaf in named.items()}
    write_whole(path, save(arrays))


def load_weights(path: Path | str, state: State) -> State:
    """Return `state` with the variables of a file.

    Raises:
        WeightsError: If the file cannot be read, lacks an array, has one too many, or
            one of another shape or type; the message names file and array.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error
    require_same_arrays(found, named_variables(state.variables), path)
    require_finite(found, path)
    return with_variables(state, fill(state.variables, found))


def require_same_arrays(
    found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path | str
) -> None:
    """Raise WeightsError unless arrays have the names, shapes and types of others.

    Args:
        found: The arrays that there are, by name.
        wanted: Those that a model needs.
        path: Where they were found.
    """
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise WeightsError(f"{path} lacks {name}, {describe(wanted[name])}.")
        if name not in wanted:
            raise WeightsError(
                f"{path} contains {name}, which the model does not have."
            )
        if describe(found[name]) != describe(wanted[name]):
            raise WeightsError(
                f"{path} has {name} as {describe(found[name])}, but the model needs "
                f"{describe(wanted[name])}."
            )


def require_finite(found: Mapping[str, Any], path: Path | str) -> None:
    """Raise WeightsError if an array has what is no number: its model answers nothing.

    Args:
        found: The arrays by name.
        path: Where they were found.
    """
    for name, array in found.items():
        bad = ~np.isfinite(np.asarray(array, np.float32))
        if bad.any():
            raise WeightsError(
                f"{path} has {bad.sum()} values in {name} that are NaN or infinite: "
                "its training has diverged, or the file is damaged."
            )


def with_variables(state: State, variables: dict[str, PyTree]) -> State:
    """Return a state with other variables; they are also what it answers with."""
    params, kept = variables["params"], {**variables}
    del kept["params"]
    extra = {**state.extra, "ema": params} if "ema" in state.extra else state.extra
    return state._replace(params=params, model_state=kept, extra=extra)


def named_variables(variables: PyTree) -> dict[str, Any]:
    """Return variables by their path.

    Example:
        >>> list(named_variables({"params": {"conv1": {"bias": np.zeros(3)}}}))
        ['params/conv1/bias']
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }


def fill(variables: PyTree, named: Mapping[str, Array]) -> PyTree:
    """Return variables with the arrays of these names in their places."""
    leaves = [named[name] for name in named_variables(variables)]
    return jax.tree.unflatten(jax.tree.structure(variables), leaves)
