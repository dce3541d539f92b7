"""Reduce the nodes of a graph to those that a Keras user would write."""

from typing import Any

from fdl.keras.graph.description import leaves, map_leaves
from fdl.keras.table import LAYERS
from fdl.keras.tracing import modules
from fdl.keras.tracing.nodes import Node, Out


def simplified(nodes: list[Node], outs: list[Out]) -> list[tuple[int, Node]]:
    """Return the nodes on which the outputs depend, with their indices.

    Embeddings that are also used in reverse become one layer, recurrent layers return
    only the outputs that are used, and activations are merged into the layers before
    them.
    """
    _hand_on_masks(nodes)
    used: dict[int, set[int]] = {}
    users: dict[int, int] = {}
    for out in outs:
        used.setdefault(out.node, set()).add(out.output)
        users[out.node] = users.get(out.node, 0) + 1
    for number in reversed(range(len(nodes))):
        node = nodes[number]
        if number not in used and node.kind != "InputLayer":
            continue
        used.setdefault(number, set())
        for x in leaves((node.args, node.kwargs)):
            if isinstance(x, Out):
                used.setdefault(x.node, set()).add(x.output)
                users[x.node] = users.get(x.node, 0) + 1
    _tie_embeddings([nodes[number] for number in used])
    _choose_outputs(nodes, used)
    _merge_activations(nodes, used, users, {out.node for out in outs})
    return [(number, nodes[number]) for number in sorted(used)]


def _hand_on_masks(nodes: list[Node]) -> None:
    """Remove copies, which stop masks, before layers that take the same mask."""

    def source(x: Any) -> Any:
        is_copy = isinstance(x, Out) and nodes[x.node].kind == "ops.Copy"
        return nodes[x.node].args[0] if is_copy else x

    for node in nodes:
        (first, *rest) = node.args or (None,)
        before = source(first)
        if before is not first and "mask" in node.kwargs:
            if nodes[before.node].kwargs["mask"] == node.kwargs["mask"]:
                node.args = (before, *rest)


def _tie_embeddings(nodes: list[Node]) -> None:
    """Turn embeddings that are also used in reverse into `ReversibleEmbedding`s."""
    reversible = {n.key: n for n in nodes if n.kind == "ReversibleEmbedding"}
    for node in nodes:
        if node.key in reversible:
            node.kind = "ReversibleEmbedding"


def _choose_outputs(nodes: list[Node], used: dict[int, set[int]]) -> None:
    """Set which of their outputs recurrent layers return."""
    for number in sorted(used):
        node, before = nodes[number], _last_outputs(nodes, used, number)
        if before is not None:  # the Keras layer concatenates the last outputs itself
            node.__dict__.update(nodes[before].__dict__)
            used.pop(before)
            used[number] = {1}
    wanted: dict[Any, set[int]] = {}
    recurrent = [n for n in used if nodes[n].kind in modules.RECURRENT]
    for number in recurrent:
        wanted.setdefault(nodes[number].key, set()).update(used[number])
    last = {number for number in recurrent if wanted[nodes[number].key] == {1}}
    for number in recurrent:
        node, outputs = nodes[number], wanted[nodes[number].key]
        flags = {
            "return_sequences": outputs != {1},
            "return_state": not outputs <= {0} and outputs != {1},
        }
        if node.kind == "Bidirectional":
            inner = node.options["layer"]
            inner = inner._replace(options=inner.options | flags)
            node.options = node.options | {"layer": inner}
        else:
            node.options = node.options | flags

    def moved(x: Any) -> Any:
        is_last = isinstance(x, Out) and x.node in last
        return x._replace(output=0) if is_last else x

    for number in used:
        nodes[number].args = map_leaves(moved, nodes[number].args)
        nodes[number].kwargs = map_leaves(moved, nodes[number].kwargs)


def _last_outputs(
    nodes: list[Node], used: dict[int, set[int]], number: int
) -> int | None:
    """Return the Bidirectional layer whose last outputs a node concatenates, if any."""
    if nodes[number].kind != "Concatenate":
        return None
    given = nodes[number].args[0]
    before = nodes[given[0].node]
    if before.kind != "Bidirectional" or before.options["merge_mode"] != "concat":
        return None
    states = 2 if before.options["layer"].kind == "LSTM" else 1
    ends = (1, 1 + states)
    is_axis = nodes[number].options["axis"] == len(given[0].shape) - 1
    same = {x.node for x in given} == {given[0].node}
    if not same or not is_axis or tuple(x.output for x in given) != ends:
        return None
    return given[0].node if used[given[0].node] == set(ends) else None


def _merge_activations(
    nodes: list[Node], used: dict[int, set[int]], users: dict[int, int], ends: set[int]
) -> None:
    """Merge activations into the layers before them."""
    gone = {}
    for number in sorted(used):
        node = nodes[number]
        if node.kind == "ReLU":
            name = "relu"
        elif node.kind == "Activation":
            name = node.options["activation"]
        else:
            continue
        before = node.args[0].node
        layer = nodes[before]
        entry = LAYERS.get(layer.kind) if layer.path else None
        has_own = entry is not None and "activation" in entry.options
        if not has_own or users[before] > 1 or before in ends:
            continue
        if layer.kind in modules.RECURRENT or "activation" in layer.options:
            continue
        layer.options["activation"] = name
        # The layer replaces its activation.
        node.__dict__.update(layer.__dict__)
        gone[before] = number
    for number in gone:
        used.pop(number)
