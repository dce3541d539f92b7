"""Learning on several devices at once."""

from jax.sharding import Mesh

from fdl.learner import Learner
from fdl.sharding import Shard, spread


def sharded(learner: Learner, mesh: Mesh, shard: Shard = "batch") -> Learner:
    """Make a learner whose steps are shared by the devices of a mesh.

    Each device takes an equal part of every batch. What is computed stays the same to
    rounding, as if there were one device: means and batch statistics are of the whole
    batch, and what is drawn has the same bits. A batch whose examples cannot be divided
    equally is computed whole by every device.

    With `"batch+state"`, each array of the state is divided, too, along the largest
    axis that can be (ZeRO, Rajbhandari et al., 2020, arXiv:1910.02054; known as FSDP):
    devices keep a part of the parameters and of the optimizer's state, and gather the
    parameters in each step. That takes less memory and more communication.

    Args:
        learner: Any learner.
        mesh: Devices along an axis called `data`, as `jax.make_mesh((8,), ("data",))`
            makes it. Explicit axes become automatic.
        shard: What is spread: `"batch"`, or `"batch+state"`.

    Raises:
        ValueError: If the mesh has no such axis, another one, or unlike devices, or
            `shard` is unknown.

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
