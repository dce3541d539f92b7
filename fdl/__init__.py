"""Classic deep learning as pure functions in JAX: the Keras models, trained fast.

A model is a pure function. A learner is a few pure functions. Everything else (scan,
vmap, shard, checkpoint, compare with Keras) is a transformation of those.

`__init__.pyi` lists the public names. Each is imported when it is first used, so
`fdl --help` does not wait for JAX.
"""

from importlib.metadata import version as _version

import lazy_loader as _lazy

__version__ = _version("fdl")

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
