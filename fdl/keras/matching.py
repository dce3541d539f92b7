"""Pair Linen with Keras layers: by name, or else by class, shapes and order."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NoReturn

import jax.numpy as jnp

from fdl.keras.layers import Layer, Path
from fdl.weights import WeightsError

Pair = tuple[Layer, Layer]
Form = tuple[str | None, str, tuple[tuple[int, ...], ...]]


def match(
    ours: Sequence[Layer],
    theirs: Sequence[Layer],
    where: str,
    head: Sequence[Layer] | None = None,
) -> list[Pair]:
    """Pair every layer of a module with a layer of a Keras model, one to one.

    Layers are paired by name if every name of ours is one of theirs, possibly after the
    automatic names of Keras (`conv2d_94`) are renumbered from 0. Otherwise they are
    paired by form (class, role and shapes) and, within a form, by order.

    Args:
        ours: Layers of a Linen module.
        theirs: Layers of a Keras model.
        where: The file or model of `theirs`, for messages.
        head: Layers of the module that are not to be paired: `theirs` may have them, or
            dense layers in their place. None if `theirs` must not have extra layers.

    Returns:
        The pairs, in the order of `ours`.

    Raises:
        WeightsError: If layers are missing or unexpected, differ in class, shape or
            type, or have the same form and no known order.
    """
    pairs = _by_name(ours, theirs)
    if pairs is None:
        pairs = _by_number(ours, theirs)
    if pairs is None:
        pairs = _by_form(ours, theirs, where)
    paired = {id(their) for _, their in pairs}
    for their in theirs:
        if id(their) not in paired and not _is_of_head(their, ours, head):
            raise WeightsError(
                f"{where} contains {their}, which the model does not have."
            )
    for our, their in pairs:
        _check(our, their, where)
    return pairs


def _is_of_head(
    their: Layer, ours: Sequence[Layer], head: Sequence[Layer] | None
) -> bool:
    """Return whether a layer may take the place of the head.

    A dense layer may unless it is inside one of our modules, such as a channel gate.
    """
    if head is None:
        return False
    if any(our.name in _names(their) for our in head):
        return True
    modules = {our.names[0] for our in ours if our.names}
    is_within = any(their.name.startswith(f"{name}_") for name in modules)
    return len(their.arrays[0].shape) == 2 and not is_within


def _by_name(ours: Sequence[Layer], theirs: Sequence[Layer]) -> list[Pair] | None:
    """Pair by name, or return None if a name of ours is not one of theirs.

    In Keras, a layer may be inside named models, and its path may begin with the name
    of the outermost one, so `encoder_dense` is the `dense` in the model `encoder`.
    Longer names are paired first, which leaves a plain `dense` for a layer outside it.
    """
    free = list(theirs)
    found: dict[int, Layer] = {}
    for our in sorted(ours, key=lambda layer: -len(layer.name)):
        named = [their for their in free if our.name in _names(their)]
        if len(named) != 1:
            return None
        found[id(our)] = named[0]
        free = [their for their in free if their is not named[0]]
    return [(our, found[id(our)]) for our in ours]


def _by_number(ours: Sequence[Layer], theirs: Sequence[Layer]) -> list[Pair] | None:
    """Pair by name, renumbered from 0, or return None if names or shapes differ.

    Keras numbers unnamed layers of a class as they are created, across all models of a
    program: those of a second model continue where the first has ended.
    """
    first: dict[Path, int] = {}
    for their in theirs:
        *models, name = their.names or ("",)
        stem, number = _numbered(name)
        place = (*models, stem)
        first[place] = min(number, first.get(place, number))
    renamed = []
    for their in theirs:
        *models, name = their.names or ("",)
        stem, number = _numbered(name)
        number -= first[*models, stem]
        name = f"{stem}_{number}" if number else stem
        renamed.append(their._replace(names=(*models, name)))
    pairs = _by_name(ours, renamed)
    if not pairs or any(_unlike(our, their) for our, their in pairs):
        return None
    known = {id(new): their for new, their in zip(renamed, theirs, strict=True)}
    return [(our, known[id(their)]) for our, their in pairs]


def _names(layer: Layer) -> Iterator[str]:
    """Yield the names of a layer: with all, some, or none of its models."""
    for start in range(len(layer.names)):
        yield layer._replace(names=layer.names[start:]).name


def _by_form(ours: Sequence[Layer], theirs: Sequence[Layer], where: str) -> list[Pair]:
    """Pair by class, role and shapes, and by order among layers of the same form."""
    know_kind = all(layer.kind for layer in (*ours, *theirs))
    our_forms = _by_key(ours, know_kind)
    their_forms = _by_key(theirs, know_kind)
    found: dict[int, Layer] = {}
    for form, alike in our_forms.items():
        candidates = their_forms.get(form, [])
        if len(candidates) < len(alike):
            _refuse_lack(alike[len(candidates)], our_forms, their_forms, where)
        if len(candidates) > len(alike):
            raise WeightsError(
                f"{where} has {len(candidates)} layers like {candidates[-1]}, but the "
                f"model has {len(alike)}."
            )
        order = _order_of(candidates)
        if order is None:
            _refuse_disorder(candidates, ours, theirs, where)
        ordered = zip(_ordered_ours(alike), order, strict=True)
        found |= {id(our): their for our, their in ordered}
    return [(our, found[id(our)]) for our in ours]


def _by_key(layers: Sequence[Layer], know_kind: bool) -> dict[Form, list[Layer]]:
    forms: dict[Form, list[Layer]] = defaultdict(list)
    for layer in layers:
        shapes = tuple(tuple(array.shape) for array in layer.arrays)
        forms[layer.kind if know_kind else None, layer.role, shapes].append(layer)
    return forms


def _refuse_lack(
    our: Layer,
    our_forms: dict[Form, list[Layer]],
    their_forms: dict[Form, list[Layer]],
    where: str,
) -> None:
    unused = [
        str(layer)
        for form, layers in their_forms.items()
        for layer in layers[len(our_forms.get(form, ())) :]
    ]
    shown = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
    rest = f"; the model lacks {shown}" if unused else ""
    raise WeightsError(f"{where} lacks a layer like the model's {our}{rest}.")


def _ordered_ours(layers: Sequence[Layer]) -> list[Layer]:
    order = _order([layer.place for layer in layers])
    if order is None:
        raise WeightsError(
            f"variables do not define the order of {_both(layers)}, which have the "
            "same shapes: pass model=, or give the layers the same names in Keras."
        )
    return [layers[index] for index in order]


def _order_of(layers: Sequence[Layer]) -> list[Layer] | None:
    """Order layers by the numbers in their names and in their places in the file.

    Names are numbered as layers are created, places as they are used. If the two
    disagree, our layers could be in either order, so do not guess: return None.
    """
    orders = (
        _order([layer.place for layer in layers]),
        _order([layer.names[-1:] for layer in layers]),
    )
    known = [order for order in orders if order is not None]
    if not known or known[0] != known[-1]:
        return None
    return [layers[index] for index in known[0]]


def _refuse_disorder(
    layers: Sequence[Layer],
    ours: Sequence[Layer],
    theirs: Sequence[Layer],
    where: str,
) -> NoReturn:
    named = {name for their in theirs for name in _names(their)}
    missing = [our for our in ours if our.name not in named]
    if 2 * len(missing) <= len(ours):  # so the file has names, but not these
        more = f" and {len(missing) - 1} more layers" if len(missing) > 1 else ""
        raise WeightsError(f"{where} lacks the model's {missing[0]}{more}.")
    raise WeightsError(
        f"{where} does not define the order of {_both(layers)}, which have the same "
        "shapes: give the layers in Keras the names of the model's layers."
    )


def _both(layers: Sequence[Layer]) -> str:
    return f"{layers[0]} and {layers[1]}"


def _order(paths: Sequence[Path]) -> list[int] | None:
    """Return the order of paths by their numbers, or None if they have no order.

    `dense_2` is after `dense` and before `dense_10`. `dense` and `conv2d` have no
    order, since files list groups alphabetically.
    """
    keys = [[_numbered(piece) for piece in path] for path in paths]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for one, two in pairwise(order):
        differing = (
            (a, b) for a, b in zip(keys[one], keys[two], strict=False) if a != b
        )
        (stem, _), (other, _) = next(differing, (("", 0), ("?", 0)))
        if stem != other:
            return None
    return order


def _numbered(piece: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)_([0-9]{1,9})", piece, re.DOTALL)
    return (found[1], int(found[2])) if found else (piece, 0)


def _check(our: Layer, their: Layer, where: str) -> None:
    """Check that a pair agrees in class and shapes and is in floating point."""
    if _unlike(our, their):
        raise WeightsError(f"{where} has {their}, but the model needs {our}.")
    for array in their.arrays:
        dtype = jnp.dtype(array.dtype)
        if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize > 8:
            raise WeightsError(
                f"{where} has {their}, but weights must be floating point of at most "
                f"64 bits, not {dtype}."
            )


def _unlike(our: Layer, their: Layer) -> bool:
    """Return whether a pair differs in class or shapes."""
    kinds = None not in (our.kind, their.kind) and our.kind != their.kind
    ours, theirs = (
        [tuple(array.shape) for array in layer.arrays] for layer in (our, their)
    )
    return kinds or ours != theirs
