"""Runs on disk: train a task into a folder, open the run, sweep, compare.

`__init__.pyi` lists the public names; each is imported when it is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
