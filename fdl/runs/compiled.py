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


def keep_compiled() -> None:
    """Keep compiled programs for the processes to come, unless JAX was told otherwise.

    They lie in `compiled` in fdl's cache folder, a gigabyte of those used last. A
    program runs as it is, so this folder is the user's alone (mode 0700): one that
    belongs to another, or that others may write to, is not used, with a warning. Each
    program has a checksum: a damaged one is compiled anew and replaced, with a warning.
    None are kept where there is no folder, such as by a user without a home.

    `JAX_COMPILATION_CACHE_DIR` names a folder that JAX looks after itself, without
    checksums, and `JAX_ENABLE_COMPILATION_CACHE=false` keeps none. Commands call it; a
    script or a notebook that calls it before it trains starts sooner the next time.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = folder.stat()
    except OSError:
        return
    if about.st_uid != os.geteuid() or about.st_mode & 0o022:
        reason = "belongs to another user"
        if about.st_uid == os.geteuid():
            reason = "can be written to by others"
        warnings.warn(
            f"compiled programs are not kept: {folder} {reason}. Delete it, or set "
            "FDL_CACHE_DIR to a folder of your own.",
            stacklevel=2,
        )
        return
    with contextlib.suppress(OSError):  # a file system that can only be read
        folder.chmod(0o700)
    if not _install(CompiledPrograms(folder)):
        warnings.warn(
            f"compiled programs are not kept: fdl does not know how to check them in "
            f"JAX {jax.__version__}.",
            stacklevel=2,
        )
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Commands compile many small programs; together they are worth keeping.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # XLA's own caches have no checksums.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "")


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
