"""A program that lists the contents of an HDF5 file of weights, within limits.

The HDF5 library is not safe against hostile files: one changed byte can make it loop
forever or use up all memory. So this file runs as a subprocess that limits its memory
and processor time; its argument is the limit in seconds. It reads the HDF5 file from
standard input and prints, as JSON, which groups have arrays, and the shape, type and
offset of each. The arrays themselves are read without the library. It imports nothing
of fdl, to start fast.
"""

import itertools
import json
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 1 << 29
"""Memory that listing the contents may take, in addition to that of h5py itself."""

MAX_DEPTH = 32
MAX_NODES = 20_000  # a ResNet-152 has 5,000
MAX_NAME = 255  # characters
MAX_TEXT = 1 << 24  # characters of the config of a model

_CONFIG = "model_config"

_OF_TRAINING = ("optimizer", "metrics")
"""Groups without layers; the Keras of TensorFlow 2.13 to 2.15 writes `metrics`."""


class ContentsError(Exception):
    """The file has something that Keras does not write.

    The message is a predicate, which follows the name of the file.
    """


def tell(file: Any) -> dict[str, Any]:
    """Return the contents of a file without reading its arrays, or an `error`.

    The contents are `groups`, or `layers` for weights in the format of Keras 2, or a
    whole `model` with `texts` and `groups`. Each group has the `path` of keys from the
    root, the `names` of the layers along it (None for those without a name) and its
    `arrays`: shape, type and offset. `optimizer` is a list of such arrays, or a string
    that says what is wrong with them.
    """
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            if _CONFIG in opened.attrs:
                return {"model": _model(opened), "optimizer": _optimizer(opened)}
            if {"layer_names", "layer_names0"} & set(opened.attrs):
                return {"layers": _layers(opened)}
            return {"groups": _groups(opened), "optimizer": _optimizer(opened)}
    except ContentsError as error:
        return {"error": str(error)}
    except Exception as error:  # h5py raises many types for damaged files
        what = " ".join(str(error).split()) or type(error).__name__
        return {"error": f"cannot be read as HDF5: {what[:500]}"}


def _groups(file: Any) -> list[dict[str, Any]]:
    if "model_weights" in file:
        raise ContentsError(
            "has weights in the format of Keras 2, without their model: save the whole "
            "model with model.save('x.h5') for fdl.keras.import_model."
        )
    if file.userblock_size:
        raise ContentsError("begins with bytes that are not HDF5.")
    return list(_walk(file))


def _model(file: Any) -> dict[str, Any]:
    """Return the configs and the groups of a file with a whole model."""
    names = (_CONFIG, "training_config", "keras_version")
    texts = {name: _text(file, name, "/", MAX_TEXT) for name in names}
    return {"texts": texts, "groups": _layers(_at(file, "model_weights"))}


def _layers(weights: Any) -> list[dict[str, Any]]:
    """Return the groups of the layers of a model, in the order of their names."""
    groups, nodes = [], 0
    for name in [*_names(weights, "layer_names"), "top_level_model_weights"]:
        if name not in weights:
            continue
        group = _at(weights, name)
        kept = _names(group, "weight_names")
        nodes += 1 + len(kept)
        if nodes > MAX_NODES:
            raise ContentsError("has more layers or weights than any Keras model.")
        arrays = [_array(_at(group, each)) for each in kept]
        groups.append({"path": [name], "names": kept, "arrays": arrays})
    return groups


def _optimizer(file: Any) -> list[list[Any]] | str:
    """Return the arrays of the optimizer, or a string that says what is wrong.

    An error here must not keep callers from reading the weights.
    """
    try:
        if "optimizer_weights" in file:
            group = _at(file, "optimizer_weights")
            return [_array(_at(group, n)) for n in _names(group, "weight_names")]
        if "optimizer" in file and "vars" in _at(file, "optimizer"):
            return list(_arrays(_at(file, "optimizer/vars")))
    except Exception as error:  # h5py raises many types for damaged files
        return str(error)
    return []


def _at(group: Any, name: str) -> Any:
    """Return the object at a path below a group; no step may be a link."""
    for key in filter(None, name.split("/")):
        if key not in group:
            raise ContentsError(f"has no {name!r} in {group.name!r}.")
        group = _member(group, key)
    return group


def _names(group: Any, attribute: str) -> list[str]:
    """Return an attribute that is a list of names, possibly split into numbered parts.

    Keras splits lists that are too long for one attribute.
    """
    import h5py

    found: list[str] = []
    parts = itertools.count()
    part = attribute if attribute in group.attrs else f"{attribute}{next(parts)}"
    while part in group.attrs:
        about = group.attrs.get_id(part)
        if len(about.shape) != 1 or about.shape[0] > MAX_NODES:
            raise ContentsError(f"has {part} in {group.name!r} that are not names.")
        # NumPy stores an empty list as numbers.
        if about.shape[0] and h5py.check_string_dtype(about.dtype) is None:
            raise ContentsError(f"has {part} in {group.name!r} that are not names.")
        for name in group.attrs[part] if about.shape[0] else ():
            name = name.decode() if isinstance(name, bytes) else str(name)
            if len(name) > MAX_NAME:
                raise ContentsError(f"has a name of {len(name):,} characters.")
            found.append(name)
        if part == attribute or len(found) > MAX_NODES:
            break
        part = f"{attribute}{next(parts)}"
    return found


def _walk(file: Any) -> Iterator[dict[str, Any]]:
    import h5py

    nodes, seen = 0, {_place(file)}
    rest: deque[Any] = deque([(file, [], [])])
    while rest:
        group, path, names = rest.popleft()
        for key in group:
            nodes += 1
            if len(path) > MAX_DEPTH or nodes > MAX_NODES:
                raise ContentsError("has more groups or levels than any Keras model.")
            if len(key) > MAX_NAME:
                raise ContentsError(f"has a name of {len(key):,} characters.")
            if not path and key in _OF_TRAINING:
                continue
            child = _member(group, key)
            if not isinstance(child, h5py.Group):
                raise ContentsError(
                    f"has an array at {child.name!r}, where Keras writes none."
                )
            if _place(child) in seen:  # possibly a cycle
                raise ContentsError(f"has {child.name!r} in more than one place.")
            seen.add(_place(child))
            if key != "vars":
                rest.append((child, [*path, key], [*names, _name_of(child)]))
            elif len(child):
                yield {"path": path, "names": names, "arrays": list(_arrays(child))}


def _place(group: Any) -> Any:
    from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue]

    about = h5o.get_info(group.id)
    return about.fileno, about.addr


def _member(group: Any, key: str) -> Any:
    """Return a member of a group, unless it is a link to another place."""
    import h5py

    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise ContentsError(f"has a link at {group.name}/{key}, which is not followed.")
    return group[key]


def _name_of(group: Any) -> str | None:
    """Return the name of the layer of a group, or None if it has no name."""
    if "vars" not in group:
        return None
    own = _member(group, "vars")
    return _text(own, "name", str(group.name))  # Keras writes names since 3.6


def _text(found: Any, attribute: str, of: str, most: int = MAX_NAME) -> str | None:
    """Return an attribute that is a string, or None if it is missing."""
    import h5py

    if attribute not in found.attrs:
        return None
    about = found.attrs.get_id(attribute)
    if about.shape != () or h5py.check_string_dtype(about.dtype) is None:
        raise ContentsError(f"has a {attribute} for {of!r} that is not text.")
    text = found.attrs[attribute]
    text = text.decode() if isinstance(text, bytes) else str(text)
    if len(text) > most:
        raise ContentsError(
            f"has a {attribute} of {len(text):,} characters for {of!r}."
        )
    return text


def _arrays(group: Any) -> Iterator[list[Any]]:
    """Yield the numbered arrays of a group after checking each."""
    wanted = [str(number) for number in range(len(group))]
    if sorted(group) != sorted(wanted):
        raise ContentsError(f"has arrays in {group.name!r} that are not numbered.")
    for key in wanted:
        yield _array(_member(group, key))


def _array(found: Any) -> list[Any]:
    """Return shape, type and offset of an array that is complete and in the file."""
    import h5py

    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ContentsError(f"has no array at {found.name!r}.")
    # Chunks may be compressed, and may declare a size that contradicts the shape.
    if found.id.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS or (
        found.external
    ):
        raise ContentsError(
            f"has {found.name!r} compressed, in chunks or in another file, which "
            "Keras never writes."
        )
    if found.id.get_storage_size() != found.size * found.dtype.itemsize:
        raise ContentsError(
            f"has only part of {found.name!r}, {found.dtype}{list(found.shape)}."
        )
    kind = found.dtype.str
    if kind == "|V2" and _text(found, "dtype", str(found.name)) == "bfloat16":
        kind = "bfloat16"  # HDF5 has no such type
    return [found.shape, kind, found.id.get_offset() or 0]


def _limit(seconds: int) -> None:
    """Limit memory and processor time of this process, where the system can."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return
    for what, most in (
        (resource.RLIMIT_AS, used + MOST_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most + 1))  # SIGXCPU first, then SIGKILL


def main() -> None:
    """Print the contents of the file on standard input."""
    import h5py  # noqa: F401 - before memory is limited

    _limit(int(sys.argv[1]))
    print(json.dumps(tell(sys.stdin.buffer)))


if __name__ == "__main__":
    main()
