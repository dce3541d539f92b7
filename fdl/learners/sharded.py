"""Training on several devices."""

from jax.sharding import Mesh

from fdl.learner import Learner
from fdl.sharding import Shard, spread


def sharded(learner: Learner, mesh: Mesh, shard: Shard = "batch") -> Learner:
    """Return a learner whose steps run on all devices of a mesh.

    Each batch is sharded equally over the devices. Results are those of a single
    device, up to rounding: means and batch statistics are taken over the whole batch,
    and random draws have the same bits. A batch that cannot be divided equally is
    replicated.

    With `"batch+state"`, each array of the state is also sharded, along its largest
    axis that can be divided (ZeRO, Rajbhandari et al., 2020, arXiv:1910.02054; known as
    FSDP): devices store a part of the parameters and of the optimizer's state, and
    gather the parameters in each step. This needs less memory and more communication.

    Args:
        learner: Any learner.
        mesh: Devices along an axis named `data`, such as
            `jax.make_mesh((8,), ("data",))`. Explicit axes become automatic.
        shard: What to shard: `"batch"` or `"batch+state"`.

    Raises:
        ValueError: If the mesh has no axis `data`, any other axis, or devices of
            different kinds, or `shard` is unknown.

    Example:
        >>> import fdl, jax, jax.numpy as jnp, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-3)
        ... )
        >>> learner = sharded(learner, jax.make_mesh((1,), ("data",)))
        >>> batch = fdl.Batch(jnp.ones((8, 28, 28, 1)), jnp.arange(8))
        >>> state = learner.init(jax.random.key(0), batch)
        >>> state, _ = jax.jit(learner.step)(state, batch)
        >>> state.params["head"]["bias"].sharding.mesh.axis_names
        ('data',)
    """
    return spread(learner, mesh, shard)
