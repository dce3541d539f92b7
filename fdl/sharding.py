"""Learners on several devices: how batches, states and members are sharded."""

import contextlib
import os
from collections.abc import Callable, Sequence
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
from fdl.ranges import require_whole

DATA, MEMBERS = "data", "members"
"""Axes of meshes: along one, devices share batches; along the other, members."""

_MOST_OF_CPU = 1024  # devices; JAX takes gigabytes for a hundred thousand


def spread(learner: Learner, mesh: Mesh, shard: Shard = "batch") -> Learner:
    """Return a learner whose steps run on all devices; see `fdl.learners.sharded`."""
    mesh = require_mesh(mesh)
    require_shard(shard)
    tune = learner.tune
    made = _shared(learner, mesh, shard)
    if tune is None:
        return made
    return made._replace(tune=lambda hparams: spread(tune(hparams), mesh, shard))


def spread_many(many: Learner, part: Learner, mesh: Mesh) -> Learner:
    """Return a learner of many whose members are sharded along the axis `members`.

    Devices share the batch along the axis `data`. Either axis may be missing.

    Args:
        many: The learner of all members.
        part: The learner of the members on one device: the number of all members
            divided by the length of the axis.
        mesh: The devices, with automatic axes.
    """
    if MEMBERS not in mesh.axis_names:
        return _shared(many, mesh, "batch")

    # Train the members of a device there, rather than leave the choice to XLA.
    def over(function: Callable[..., Any]) -> Callable[..., Any]:
        def shared(state: State, batch: PyTree) -> Any:
            own = P(MEMBERS) if isinstance(batch, Each) else P()
            specs = {"in_specs": (P(MEMBERS), own), "out_specs": P(MEMBERS)}
            at = {"mesh": mesh, "axis_names": {MEMBERS}, "check_vma": False}
            return jax.shard_map(function, **at, **specs)(state, batch)

        return shared

    _, update, measure, answer = part[:4]
    functions = {"step": update, "evaluate": measure, "predict": answer}
    each = {name: over(function) for name, function in functions.items()}
    return _shared(many._replace(**each), mesh, "batch")


def _shared(learner: Learner, mesh: Mesh, shard: Shard) -> Learner:
    """Return a learner whose functions constrain the sharding of their arrays."""
    update, measure, answer = learner[1:4]

    # Shardings are created in each call. In a closure, they would make the functions of
    # equal learners differ, so that each learner would compile its own program.
    def whole(tree: PyTree) -> PyTree:
        return with_sharding_constraint(tree, NamedSharding(mesh, P()))

    def gathered(tree: PyTree) -> PyTree:
        return with_sharding_constraint(tree, state_sharding(mesh, "batch", tree))

    def parted(batch: PyTree) -> PyTree:
        return with_sharding_constraint(batch, batch_sharding(mesh, batch))

    def step(state: State, batch: PyTree) -> tuple[State, Metrics]:
        # Explicit, since XLA might otherwise split a layer the way its parameters are.
        params, model_state = gathered((state.params, state.model_state))
        state = state._replace(params=params, model_state=model_state)
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):  # for `fdl.ops`
            state, measured = update(state, parted(batch))
        kept = with_sharding_constraint(state, state_sharding(mesh, shard, state))
        return kept, whole(measured)

    return learner._replace(
        step=step,
        evaluate=lambda state, batch: whole(measure(gathered(state), parted(batch))),
        predict=lambda state, inputs: whole(answer(gathered(state), parted(inputs))),
    )


def batch_sharding(mesh: Mesh, batch: PyTree) -> PyTree:
    """Return the sharding of a batch: divided equally if possible, else replicated."""
    count, axis = mesh.shape.get(DATA, 1), int(isinstance(batch, Each))
    divides = all(x.shape[axis] % count == 0 for x in jax.tree.leaves(batch))
    members = [MEMBERS if MEMBERS in mesh.axis_names else None] * axis
    data = [DATA] if divides and DATA in mesh.axis_names else []
    return jax.tree.map(lambda x: NamedSharding(mesh, P(*members, *data)), batch)


def state_sharding(mesh: Mesh, shard: Shard, state: PyTree) -> PyTree:
    """Return the sharding of a state: replicated on each device, or divided.

    On a mesh with an axis `members`, the state of many is divided by members.

    Example:
        >>> mesh = automatic(jax.make_mesh((1,), ("data",)))
        >>> tuple(state_sharding(mesh, "batch+state", np.zeros((3, 8))).spec)
        (None, 'data')
    """
    if MEMBERS in mesh.axis_names:
        return jax.tree.map(lambda x: NamedSharding(mesh, P(MEMBERS)), state)
    count = mesh.shape[DATA]

    def found(x: Any) -> NamedSharding:
        sizes = [size if size % count == 0 else 0 for size in np.shape(x)]
        if shard == "batch" or not any(sizes):
            return NamedSharding(mesh, P())
        axis = int(np.argmax(sizes))
        return NamedSharding(mesh, P(*[None] * axis, DATA))

    return jax.tree.map(found, state)


def mesh_of(devices: int) -> Mesh:
    """Return a mesh of `devices` devices, which share batches.

    Raises:
        ValueError: If there are fewer devices.

    Example:
        >>> mesh_of(1).axis_names
        ('data',)
    """
    require_whole("[1, inf)", devices=devices)
    there = jax.devices()
    if devices > len(there):
        kind, remedy = there[0].device_kind, "use at most that many."
        if there[0].platform == "cpu" and devices > _MOST_OF_CPU:
            remedy = f"a CPU can be split into at most {_MOST_OF_CPU:,}."
        elif there[0].platform == "cpu":
            flag = f"XLA_FLAGS=--xla_force_host_platform_device_count={devices}"
            remedy = f"to split the CPU into more, start Python with {flag}."
        raise ValueError(
            f"devices={devices}, but there {'is' if len(there) == 1 else 'are'} "
            f"{len(there)} ({kind}): {remedy}"
        )
    return Mesh(np.array(there[:devices]), (DATA,))


def ask_for(devices: int) -> None:
    """Split the CPU into devices, unless JAX has started or `XLA_FLAGS` says how."""
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    if devices > _MOST_OF_CPU:  # `mesh_of` raises an error
        return
    with contextlib.suppress(RuntimeError):  # it has started
        jax.config.update("jax_num_cpu_devices", devices)


def automatic(mesh: Mesh) -> Mesh:
    """Return a mesh with automatic axes.

    With explicit axes, as `jax.make_mesh` creates them, every operation of a model
    would have to declare the sharding of its result. With automatic axes, XLA decides.
    """
    return Mesh(mesh.devices, mesh.axis_names)


def require_mesh(mesh: Any, axes: Sequence[str] = (DATA,)) -> Mesh:
    """Return a mesh with automatic axes; raise ValueError if it is unsuitable.

    Args:
        mesh: The user's argument.
        axes: The axes that it may have; it must have at least one of them.
    """
    remedy = f"such as jax.make_mesh({(2, 4)[-len(axes) :]}, {tuple(axes)})."
    if not isinstance(mesh, Mesh):
        raise ValueError(f"mesh={mesh!r} is not a jax.sharding.Mesh: pass one {remedy}")
    if not mesh.axis_names or not set(mesh.axis_names) <= set(axes):
        known = " or ".join(repr(name) for name in axes)
        raise ValueError(
            f"mesh has the axes {mesh.axis_names}, but may only have {known}: pass one "
            + remedy
        )
    require_alike(mesh.devices.flat)
    return automatic(mesh)


def require_alike(devices: Any) -> None:
    """Raise ValueError unless all devices are of one kind."""
    kinds = list(dict.fromkeys(device.device_kind for device in devices))
    if len(kinds) > 1:
        raise ValueError(
            f"mesh mixes kinds of devices, {' and '.join(kinds)}, which would wait for "
            "the slowest and round differently: use devices of one kind."
        )


def require_shard(shard: Any) -> None:
    """Raise ValueError unless `shard` has a known value."""
    if shard not in get_args(Shard):
        names = " or ".join(repr(name) for name in get_args(Shard))
        raise ValueError(f"shard={shard!r} must be {names}.")
