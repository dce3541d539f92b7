"""Compiled programs, kept on disk for the processes to come."""

import contextlib
import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import jax

from fdl.data.cache import folder as cache_folder
from fdl.files import keep_newest, write_whole

_MOST_BYTES = 1e9
_DIGEST = hashlib.sha256
_SIZE = _DIGEST().digest_size
_GIVEN, _NAMED = "jax_compilation_cache_dir", "JAX_COMPILATION_CACHE_DIR"


def keep_compiled() -> None:
    """Keep compiled programs for the processes to come.

    They lie in `compiled` in fdl's cache folder, or in `fdl` in the folder that the
    environment variable `JAX_COMPILATION_CACHE_DIR` names; a gigabyte of those used
    last. A program runs as it is, so this folder is the user's alone (mode 0700): one
    that belongs to another, or that others may write to, is not used, with a warning.
    Each program has a checksum: a damaged one is compiled anew and replaced, with a
    warning. None are kept where there is no folder, such as by a user without a home,
    or with `JAX_ENABLE_COMPILATION_CACHE=false`.

    Commands call it; a script or a notebook that calls it before it trains starts
    sooner the next time. A folder that a program has given to `jax.config` itself stays
    in use as it is, without checksums.
    """
    given, named = jax.config.values[_GIVEN], os.environ.get(_NAMED)
    if given and given != named:
        return
    jax.config.update(_GIVEN, None)
    folder = Path(named, "fdl") if named else cache_folder() / "compiled"
    try:
        problem = _problem(folder)
    except OSError:
        return
    if problem is None and not _install(CompiledPrograms(folder)):
        problem = f"fdl does not know how to check them in JAX {jax.__version__}"
    if problem is not None:
        warnings.warn(f"compiled programs are not kept: {problem}.", stacklevel=2)
        return
    jax.config.update(_GIVEN, str(folder))
    # Commands compile many small programs; together they are worth keeping.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # XLA's own caches have no checksums.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "")


def _problem(folder: Path) -> str | None:
    """Make a folder for programs; return why it cannot be trusted, if so.

    Raises:
        OSError: If it cannot be made.
    """
    if "://" in os.environ.get(_NAMED, ""):
        return f"{_NAMED} names no folder of this computer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about, reason = folder.stat(), None
    if about.st_uid != os.geteuid():
        reason = "belongs to another user"
    elif about.st_mode & 0o022:
        reason = "can be written to by others"
    if reason is not None:
        name = _NAMED if _NAMED in os.environ else "FDL_CACHE_DIR"
        return f"{folder} {reason}. Delete it, or set {name} to a folder of your own"
    with contextlib.suppress(OSError):  # a file system that can only be read
        folder.chmod(0o700)
    return None


def _install(programs: "CompiledPrograms") -> bool:
    """Make JAX ask these for programs; return whether it will.

    JAX has no public way to say what keeps its programs, and the function that it
    calls for one may go or change.
    """
    try:
        from jax._src import compilation_cache

        getattr(compilation_cache, "get_file_cache")  # noqa: B009
    except (ImportError, AttributeError):
        return False
    setattr(compilation_cache, "get_file_cache", lambda path: (programs, path))  # noqa: B010
    compilation_cache.reset_cache()  # what was compiled before may have begun another
    return True


class CompiledPrograms:
    """What JAX asks for compiled programs, and gives new ones to.

    JAX's own runs whatever lies in its folder: a flipped bit is a crash or a wrong
    number. Here each file begins with the checksum of its key and its content.
    """

    def __init__(self, folder: Path) -> None:
        """Keep programs in a folder that is there."""
        self._path = folder  # as JAX calls it
        self._warned = False

    def get(self, key: str) -> bytes | None:
        """Return a program; None if it is not there or not as it was written."""
        file = self._file(key)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._warn(f"a compiled program cannot be read: {error}")
        digest, program = content[:_SIZE], content[_SIZE:]
        if digest != self._digest(key, program):
            return self._warn(
                f"{file} is damaged: the program is compiled anew. If this happens "
                "again, the disk may be failing."
            )
        with contextlib.suppress(OSError):
            os.utime(file)  # used lately
        return program

    def put(self, key: str, program: bytes) -> None:
        """Keep a program, if the folder can be written."""
        try:
            write_whole(self._file(key), self._digest(key, program) + program)
            keep_newest(self._path, _MOST_BYTES)
        except OSError as error:
            self._warn(f"a compiled program cannot be kept: {error}")

    def _file(self, key: str) -> Path:
        return self._path / _DIGEST(key.encode()).hexdigest()

    def _digest(self, key: str, program: bytes) -> bytes:
        return _DIGEST(key.encode() + b"\0" + program).digest()

    def _warn(self, message: str) -> Any:
        """Say it, unless something was said: what befell one may befall hundreds."""
        if not self._warned:
            self._warned = True
            warnings.warn(message, stacklevel=3)
