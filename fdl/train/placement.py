"""Placement of arrays in training: on one device, or spread over a mesh."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from fdl.arrays import PyTree
from fdl.learner import State
from fdl.programs import in_program
from fdl.sharding import DATA, MEMBERS, Shard, automatic, state_sharding

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


class Placement(NamedTuple):
    """The devices that hold the arrays of a training.

    Attributes:
        mesh: The devices, with automatic axes; None for the default device, or those
            that hold the arrays already.
        shard: What is spread over the devices.

    Example:
        >>> Placement().data({"image": np.zeros(3)})
        {'image': Array([0., 0., 0.], dtype=float32)}
    """

    mesh: Mesh | None = None
    shard: Shard = "batch"

    def data(self, tree: PyTree) -> PyTree:
        """Replicate examples on each device, since a batch is drawn from all."""
        return put(tree, self._everywhere)

    def chunk(self, tree: PyTree) -> PyTree:
        """Copy and move fetched examples, and wait until they are there.

        Their source may then be overwritten. On CPU, `jax.device_put` alone would keep
        using the memory of an aligned array, even with `may_alias=False`.
        """
        return jax.block_until_ready(self.data(jax.tree.map(np.array, tree)))

    def state(self, state: State) -> State:
        """Move a state; without a mesh, it stays where it is."""
        if self.mesh is None:
            return state
        return put(state, state_sharding(self.mesh, self.shard, state))

    def sums(self, sums: PyTree) -> PyTree:
        """Move sums of metrics; without a mesh, they stay where they are."""
        return sums if self.mesh is None else put(sums, self._everywhere)

    @property
    def is_shared(self) -> bool:
        """Whether devices of other processes take part."""
        return self.mesh is not None and self.mesh.is_multi_process

    def divisible(self, batch_size: int) -> int:
        """Return the next batch size from this on that devices can share equally."""
        return -(-batch_size // self.batches) * self.batches

    def require_divisible(self, batch_size: int) -> None:
        """Raise ValueError unless the devices can share a batch equally."""
        if batch_size % self.batches:
            least = self.divisible(batch_size)
            raise ValueError(
                f"batch_size={batch_size} cannot be divided equally among "
                f"{self.batches} devices: use a multiple of {self.batches}, such as "
                f"{least}."
            )

    @property
    def batches(self) -> int:
        """Number of parts that a batch is divided into."""
        return 1 if self.mesh is None else self.mesh.shape.get(DATA, 1)

    @property
    def members(self) -> int:
        """Number of parts that members are divided into."""
        return 1 if self.mesh is None else self.mesh.shape.get(MEMBERS, 1)

    @property
    def _everywhere(self) -> NamedSharding | None:
        return None if self.mesh is None else NamedSharding(self.mesh, P())


def put(tree: PyTree, where: Any) -> PyTree:
    """Move arrays like `jax.device_put`, but also to devices of other processes.

    Args:
        tree: The arrays; local ones must be the same in all processes.
        where: The destination, as for `jax.device_put`.
    """
    if all(each.is_fully_addressable for each in jax.tree.leaves(where)):
        return jax.device_put(tree, where)
    if isinstance(where, NamedSharding):
        return jax.tree.map(lambda x: _put_among_all(x, where), tree)
    return jax.tree.map(_put_among_all, tree, where)


def _put_among_all(x: Any, where: NamedSharding) -> jax.Array:
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        return x if x.sharding == where else jax.jit(_same, out_shardings=where)(x)
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        words = _put_among_all(jax.random.key_data(x), where)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(x))
    # Like `device_put`, but without sending the array to other processes to compare.
    host = np.asarray(x, jax.dtypes.canonicalize_dtype(np.result_type(x)))
    return jax.make_array_from_callback(host.shape, where, host.__getitem__)


def _same(x: Any) -> Any:
    return x


def whole_here(tree: PyTree) -> PyTree:
    """Gather arrays that are spread over several processes on a local device.

    All processes must call it. Arrays that are already local stay where they are.

    Example:
        >>> whole_here({"bias": np.zeros(2)})
        {'bias': array([0., 0.])}
    """

    def whole(x: Any) -> Any:
        if not isinstance(x, jax.Array) or x.is_fully_addressable:
            return x
        if not x.is_fully_replicated:
            assert isinstance(x.sharding, NamedSharding)
            x = _put_among_all(x, NamedSharding(x.sharding.mesh, P()))
        return x.addressable_data(0)

    return jax.tree.map(whole, tree)


def on_auto_mesh(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Let a function accept arrays on meshes with explicit axes, and run within one.

    Within the function the axes are automatic (see `fdl.sharding.automatic`), and the
    arrays stay where they are.

    Example:
        >>> on_auto_mesh(lambda x: x + 1)(np.ones(3))
        array([2., 2., 2.])
    """

    @functools.wraps(function)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        if in_program():
            raise ValueError(
                f"{function.__name__} runs compiled programs, so it cannot be within "
                "one: call a function of the learner there, such as learner.predict."
            )
        args, kwargs = jax.tree.map(_moved, (args, kwargs))
        mesh = jax.sharding.get_mesh()
        if AxisType.Explicit not in mesh.axis_types:
            return function(*args, **kwargs)
        with jax.set_mesh(automatic(mesh)):
            return function(*args, **kwargs)

    return wrapped


def _moved(x: Any) -> Any:
    sharding = getattr(x, "sharding", None)
    if not isinstance(sharding, NamedSharding) or not isinstance(sharding.mesh, Mesh):
        return x
    if AxisType.Explicit not in sharding.mesh.axis_types:
        return x
    return jax.device_put(x, NamedSharding(automatic(sharding.mesh), sharding.spec))
