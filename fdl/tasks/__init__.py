"""Tasks, trained by name: a data set, a model, a learner and their defaults.

`__init__.pyi` lists the public names. Each is imported on first use: describing a task
or checking settings does not need JAX, making its model does.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
