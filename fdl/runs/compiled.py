"""A persistent cache of compiled programs, with checksums."""

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
    """Cache compiled programs on disk for later processes.

    They are stored in `compiled` in fdl's cache folder, or in `fdl` in the folder that
    the environment variable `JAX_COMPILATION_CACHE_DIR` names: the most recently used,
    up to a gigabyte. Cached programs are executed, so the folder is private (mode
    0700): one that belongs to another user, or that others may write to, is not used,
    with a warning. Each program has a checksum: a damaged one is recompiled and
    replaced, with a warning. Nothing is cached if the folder cannot be made, such as
    for a user without a home, or with `JAX_ENABLE_COMPILATION_CACHE=false`.

    Commands call it; a script or a notebook that calls it before training starts faster
    the next time. A folder that was already set in `jax.config` stays in use as it is,
    without checksums.
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
        problem = f"fdl cannot verify their checksums with JAX {jax.__version__}"
    if problem is not None:
        warnings.warn(f"compiled programs are not cached: {problem}.", stacklevel=2)
        return
    jax.config.update(_GIVEN, str(folder))
    # Commands compile many small programs; together they are worth caching.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # XLA's own caches have no checksums.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "")


def _problem(folder: Path) -> str | None:
    """Make a folder for programs; return why it cannot be trusted, if so.

    Raises:
        OSError: If it cannot be made.
    """
    if "://" in os.environ.get(_NAMED, ""):
        return f"{_NAMED} is not a folder of this computer"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about, reason = folder.stat(), None
    if about.st_uid != os.geteuid():
        reason = "belongs to another user"
    elif about.st_mode & 0o022:
        reason = "can be written to by others"
    if reason is not None:
        name = _NAMED if _NAMED in os.environ else "FDL_CACHE_DIR"
        return f"{folder} {reason}. Delete it, or set {name} to a folder of your own"
    with contextlib.suppress(OSError):  # a read-only file system
        folder.chmod(0o700)
    return None


def _install(programs: "CompiledPrograms") -> bool:
    """Make these JAX's compilation cache; return whether that worked.

    JAX has no public way to replace its cache, and the private function that returns it
    may go or change.
    """
    try:
        from jax._src import compilation_cache

        getattr(compilation_cache, "get_file_cache")  # noqa: B009
    except (ImportError, AttributeError):
        return False
    setattr(compilation_cache, "get_file_cache", lambda path: (programs, path))  # noqa: B010
    compilation_cache.reset_cache()  # an earlier compilation may have opened another
    return True


class CompiledPrograms:
    """A compilation cache for JAX whose files have checksums.

    JAX's own cache runs whatever is in its folder: a flipped bit is a crash or a wrong
    number. Here each file begins with the checksum of its key and its content.
    """

    def __init__(self, folder: Path) -> None:
        """Store programs in an existing folder."""
        self._path = folder  # the name that JAX uses
        self._warned = False

    def get(self, key: str) -> bytes | None:
        """Return a program; None if it is missing or damaged."""
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
                f"{file} is damaged: the program is recompiled. If this happens again, "
                "the disk may be failing."
            )
        with contextlib.suppress(OSError):
            os.utime(file)  # marks it as recently used
        return program

    def put(self, key: str, program: bytes) -> None:
        """Store a program, if the folder is writable."""
        try:
            write_whole(self._file(key), self._digest(key, program) + program)
            keep_newest(self._path, _MOST_BYTES)
        except OSError as error:
            self._warn(f"a compiled program cannot be cached: {error}")

    def _file(self, key: str) -> Path:
        return self._path / _DIGEST(key.encode()).hexdigest()

    def _digest(self, key: str, program: bytes) -> bytes:
        return _DIGEST(key.encode() + b"\0" + program).digest()

    def _warn(self, message: str) -> Any:
        """Warn once only, since the same may happen to hundreds of programs."""
        if not self._warned:
            self._warned = True
            warnings.warn(message, stacklevel=3)
