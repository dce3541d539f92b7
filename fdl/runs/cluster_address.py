"""Where the scheduler of a sweep's cluster is; without JAX and Dask."""

import ipaddress
import os
import re

LOCAL = re.compile(r"local:(\d{1,6})")
_ADDRESS = re.compile(r"([a-z+]+)://(\[[^\]/]+\]|[^:/\s]+)(:\d{1,5})?/?")
_SECRET = ("tls", "inproc")  # schemes of which nobody else can read or write a word


def require_cluster(cluster: str) -> int | None:
    """Return how many workers `local:N` asks for; None for the address of a scheduler.

    Raises:
        ValueError: If it is neither, or asks for more workers than there are cores.

    Example:
        >>> require_cluster("local:1"), require_cluster("tls://10.0.0.5:8786")
        (1, None)
    """
    if local := LOCAL.fullmatch(cluster):
        count, cores = int(local[1]), len(os.sched_getaffinity(0))
        if not 1 <= count <= cores:
            raise ValueError(
                f"{cluster} must ask for 1 to {cores} workers, since this process has "
                f"{cores} core{'s' if cores > 1 else ''}."
            )
        return count
    address = _ADDRESS.fullmatch(cluster)
    if address is None or address[1] not in ("tcp", "tls") or not address[3]:
        raise ValueError(
            f"{cluster!r} is no cluster: write local:N for N workers on this machine, "
            "or the address of a Dask scheduler, such as tls://HOST:8786."
        )
    return None


def require_encrypted(address: str) -> None:
    """Raise ValueError unless what is said to a scheduler stays between the two.

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
        "on its workers and here. Start scheduler and workers with TLS, and give "
        "tls://HOST:PORT; or, on a network that you trust, allow it with "
        "--allow-unencrypted (from Python, allow_unencrypted=True)."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"
