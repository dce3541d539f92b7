"""What can be trained by name: a data set, a model, a learner and their defaults.

`__init__.pyi` lists the public names. Each is imported when it is first used: to
describe a task or to check settings takes no JAX, to make its model does.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
