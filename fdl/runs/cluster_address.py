"""The address of a sweep's cluster; without importing JAX and Dask."""

import ipaddress
import os
import re

LOCAL = re.compile(r"local:(\d{1,6})")
_ADDRESS = re.compile(r"([a-z+]+)://(\[[^\]/]+\]|[^:/\s]+)(:\d{1,5})?/?")
_SECRET = ("tls", "inproc")  # schemes that nobody else can read or tamper with


def require_cluster(cluster: str) -> int | None:
    """Return the number of workers of `local:N`; None for the address of a scheduler.

    Raises:
        ValueError: If `cluster` is neither, or N exceeds the number of cores.

    Example:
        >>> require_cluster("local:1"), require_cluster("tls://10.0.0.5:8786")
        (1, None)
    """
    if local := LOCAL.fullmatch(cluster):
        count, cores = int(local[1]), len(os.sched_getaffinity(0))
        if not 1 <= count <= cores:
            raise ValueError(
                f"{cluster} must have 1 to {cores} workers, since this process has "
                f"{cores} core{'s' if cores > 1 else ''}."
            )
        return count
    address = _ADDRESS.fullmatch(cluster)
    if address is None or address[1] not in ("tcp", "tls") or not address[3]:
        raise ValueError(
            f"{cluster!r} is not a cluster: use local:N for N workers on this machine, "
            "or the address of a Dask scheduler, such as tls://HOST:8786."
        )
    return None


def require_encrypted(address: str) -> None:
    """Raise ValueError unless the connection to a scheduler is private.

    Example:
        >>> require_encrypted("tcp://127.0.0.1:8786")
        >>> require_encrypted("tls://10.0.0.5:8786")
        >>> require_encrypted("tcp://10.0.0.5:8786")
        Traceback (most recent call last):
        ValueError: tcp://10.0.0.5:8786 is not encrypted: ...
    """
    found = _ADDRESS.fullmatch(address)
    if found and (found[1] in _SECRET or _is_loopback(found[2].strip("[]"))):
        return
    if address.partition("://")[0] in _SECRET:
        return
    raise ValueError(
        f"{address} is not encrypted: whoever reaches it on its network can run code "
        "on its workers and here. Start the scheduler and workers with TLS, and use "
        "tls://HOST:PORT; or, on a network that you trust, allow it with "
        "--allow-unencrypted (from Python, allow_unencrypted=True)."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name
        return host == "localhost"
