"""Learners on several devices: what of a training is spread over a mesh, and how."""

from collections.abc import Sequence
from typing import Any, get_args

import jax
import numpy as np
from jax.lax import with_sharding_constraint
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from fdl.arrays import PyTree
from fdl.learner import Learner, State
from fdl.members import Each
from fdl.metrics import Metrics
from fdl.plain import Shard as Shard

DATA = "data"


def spread(learner: Learner, mesh: Mesh, shard: Shard = "batch") -> Learner:
    """Return the learner whose steps the devices share: `fdl.learners.sharded`."""
    mesh = require_mesh(mesh)
    require_shard(shard)
    update, measure, answer = learner[1:4]

    # Of the mesh, which is known again where the learner is made again: a sharding is
    # not, and would need a new program.
    def whole(tree: PyTree) -> PyTree:
        return with_sharding_constraint(tree, NamedSharding(mesh, P()))

    def parted(batch: PyTree) -> PyTree:
        return with_sharding_constraint(batch, batch_sharding(mesh, batch))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        # Said outright, since XLA could divide a layer as the parameters are divided.
        params, model_state = whole((state.params, state.model_state))
        state = state._replace(params=params, model_state=model_state)
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):  # for operations
            state, measured = update(state, parted(batch))
        kept = with_sharding_constraint(state, state_sharding(mesh, shard, state))
        return kept, whole(measured)

    made = learner._replace(
        step=step,
        evaluate=lambda state, batch: whole(measure(whole(state), parted(batch))),
        predict=lambda state, inputs: whole(answer(whole(state), parted(inputs))),
    )
    tune = learner.tune
    if tune is None:
        return made
    return made._replace(tune=lambda hparams: spread(tune(hparams), mesh, shard))


def batch_sharding(mesh: Mesh, batch: PyTree) -> PyTree:
    """Return where the arrays of a batch are, each an equal part on each device."""
    axis = 1 if isinstance(batch, Each) else 0
    count = mesh.shape[DATA]
    divides = all(x.shape[axis] % count == 0 for x in jax.tree.leaves(batch))
    found = NamedSharding(mesh, P(*[None] * axis, DATA) if divides else P())
    return jax.tree.map(lambda x: found, batch)


def state_sharding(mesh: Mesh, shard: Shard, state: PyTree) -> PyTree:
    """Return where the arrays of a state are: whole on each device, or divided.

    Example:
        >>> mesh = automatic(jax.make_mesh((1,), ("data",)))
        >>> tuple(state_sharding(mesh, "batch+state", np.zeros((3, 8))).spec)
        (None, 'data')
    """

    def found(x: Any) -> NamedSharding:
        sizes = [n if n % mesh.shape[DATA] == 0 else 0 for n in np.shape(x)]
        if shard == "batch" or not any(sizes):
            return NamedSharding(mesh, P())
        axis = int(np.argmax(sizes))
        return NamedSharding(mesh, P(*[None] * axis, DATA))

    return jax.tree.map(found, state)


def automatic(mesh: Mesh) -> Mesh:
    """Return a mesh with automatic axes.

    On one with explicit axes, which `jax.make_mesh` makes, every operation of a model
    would have to say how its result is spread. Here XLA decides.
    """
    return Mesh(mesh.devices, mesh.axis_names)


def require_mesh(mesh: Any, axes: Sequence[str] = (DATA,)) -> Mesh:
    """Return a mesh with automatic axes, or raise ValueError unless it will do.

    Args:
        mesh: What was given.
        axes: The axes that it may have, at least one of them.
    """
    names = " and ".join(repr(name) for name in axes)
    remedy = "give one such as jax.make_mesh((8,), ('data',))."
    if not isinstance(mesh, Mesh):
        raise ValueError(f"mesh={mesh!r} is no jax.sharding.Mesh: {remedy}")
    if not mesh.axis_names or not set(mesh.axis_names) <= set(axes):
        raise ValueError(
            f"mesh has the axes {mesh.axis_names}, and {names} are known: {remedy}"
            if len(axes) > 1
            else f"mesh has the axes {mesh.axis_names}, but must have {names}: {remedy}"
        )
    require_alike(mesh.devices.flat)
    return automatic(mesh)


def require_alike(devices: Any) -> None:
    """Raise ValueError unless all devices are of one kind."""
    kinds = list(dict.fromkeys(device.device_kind for device in devices))
    if len(kinds) > 1:
        raise ValueError(
            f"mesh has unlike devices, {' and '.join(kinds)}: all would wait for the "
            "slowest, and round differently; give devices of one kind."
        )


def require_shard(shard: Any) -> None:
    """Raise ValueError unless it is known what is to be spread."""
    if shard not in get_args(Shard):
        names = " or ".join(repr(name) for name in get_args(Shard))
        raise ValueError(f"shard={shard!r} must be {names}.")
