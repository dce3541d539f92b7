"""Architectures, one per file: pure functions of variables and inputs.

The header of each file gives the paper, the number of parameters, and the differences
from the paper. `__init__.pyi` lists the public names; each is imported when it is first
used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
