"""Variables as a safetensors file: names and arrays, and nothing that could run."""

import os
from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fdl.arrays import PyTree
from fdl.learner import State


class WeightsError(ValueError):
    """A file of weights is damaged, or is not of the model that it is meant for."""


def save_weights(path: Path, state: State) -> None:
    """Write parameters and batch statistics, whole or not at all.

    Arrays are named by their path, such as `params/conv1/kernel`.
    """
    named = {name: np.asarray(leaf) for name, leaf in _named(state).items()}
    part = path.with_name(path.name + ".part")
    part.write_bytes(save(named))
    os.replace(part, path)


def load_weights(path: Path, state: State) -> State:
    """Return `state` with the parameters and batch statistics of a file.

    Raises:
        WeightsError: If the file cannot be read, lacks an array, has one too many, or
            one of another shape or type; the message names file and array.
    """
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error
    wanted = _named(state)
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise WeightsError(f"{path} lacks {name}, {_kind(wanted[name])}.")
        if name not in wanted:
            raise WeightsError(f"{path} has {name}, which the model has not.")
        if _kind(found[name]) != _kind(wanted[name]):
            raise WeightsError(
                f"{path} has {name} as {_kind(found[name])}, but the model needs "
                f"{_kind(wanted[name])}."
            )
    variables = _variables(state)
    leaves = [found[name] for name in _named(state)]
    filled = jax.tree.unflatten(jax.tree.structure(variables), leaves)
    return state._replace(**filled)


def _variables(state: State) -> PyTree:
    return {"batch_stats": state.batch_stats, "params": state.params}


def _named(state: State) -> dict[str, PyTree]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(_variables(state))
    }


def _kind(leaf: PyTree) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"
