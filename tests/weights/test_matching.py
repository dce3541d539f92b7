"""Layers of a model are matched to layers in a file."""

import numpy as np
import pytest

from fdl.keras.layers import Layer, parts, snake_case
from fdl.keras.matching import match
from fdl.weights import WeightsError


def layer(*names, kind=None, place=(), shape=(3, 3), role="") -> Layer:
    return Layer(names, role, kind, place, (np.zeros(shape, np.float32),))


def ours(*layers: Layer) -> list[Layer]:
    return [one._replace(place=(f"layer_{i}",)) for i, one in enumerate(layers)]


def pairing(mine, theirs) -> list[tuple[str, str]]:
    return [(a.name, b.name) for a, b in match(mine, theirs, "x.keras")]


def test_names_decide_rather_than_order() -> None:
    mine = ours(layer("a"), layer("b"), layer("c", "d"))
    theirs = ours(layer("net", "c_d"), layer("net", "b"), layer("net", "a"))
    assert pairing(mine, theirs) == [
        ("a", "net_a"),
        ("b", "net_b"),
        ("c_d", "net_c_d"),
    ]


def test_names_may_follow_the_name_of_the_model() -> None:
    mine = ours(layer("dense"), layer("encoder", "dense"))
    theirs = ours(layer("net", "encoder", "dense"), layer("net", "dense"))
    assert pairing(mine, theirs) == [
        ("dense", "net_dense"),
        ("encoder_dense", "net_encoder_dense"),
    ]


def test_parts_are_matched_to_the_same_part() -> None:
    mine = ours(layer("a", role="query"), layer("a", role="key"))
    theirs = ours(layer("b", role="key"), layer("b", role="query"))
    assert pairing(mine, theirs) == [("a:query", "b:query"), ("a:key", "b:key")]


def test_shapes_decide_without_names() -> None:
    mine = ours(layer("a", shape=(2, 3)), layer("b", shape=(3, 2)))
    theirs = [layer("x", shape=(3, 2)), layer("y", shape=(2, 3))]
    assert pairing(mine, theirs) == [("a", "y"), ("b", "x")]


def test_classes_distinguish_layers_of_the_same_shapes() -> None:
    mine = ours(layer("a", kind="dense"), layer("b", kind="embedding"))
    theirs = [layer("x", kind="embedding"), layer("y", kind="dense")]
    assert pairing(mine, theirs) == [("a", "y"), ("b", "x")]


def test_numbers_may_start_after_those_of_another_model() -> None:
    mine = ours(layer("conv2d"), layer("conv2d_1"), layer("conv2d_2"))
    # The order from input to output differs from the order of definition.
    theirs = ours(layer("conv2d_9"), layer("conv2d_11"), layer("conv2d_10"))
    assert pairing(mine, theirs) == [
        ("conv2d", "conv2d_9"),
        ("conv2d_1", "conv2d_10"),
        ("conv2d_2", "conv2d_11"),
    ]
    mine = ours(layer("dense", shape=(2, 3)), layer("dense_1", shape=(3, 2)))
    theirs = [layer("dense_4", shape=(3, 2)), layer("dense_5", shape=(2, 3))]
    assert pairing(mine, theirs) == [("dense", "dense_5"), ("dense_1", "dense_4")]


def test_numbers_are_sorted_as_numbers() -> None:
    keys = ["dense", *(f"dense_{n}" for n in range(1, 12))]
    mine = ours(*(layer(f"l{n}") for n in range(12)))
    theirs = [layer(f"x{key}", place=("layers", key)) for key in sorted(keys)]
    assert [b for _, b in pairing(mine, theirs)] == [f"x{key}" for key in keys]


def test_numbered_names_define_an_order_that_places_do_not() -> None:
    mine = ours(layer("a"), layer("b"))
    theirs = [
        layer("dense_8", place=("layers", "dense")),
        layer("inner", "dense_7", place=("layers", "functional", "layers", "dense")),
    ]
    assert pairing(mine, theirs) == [("a", "inner_dense_7"), ("b", "dense_8")]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (layer("x", place=("layers", "dense")), layer("y", place=("q", "dense"))),
        (layer("x", place=("up",)), layer("y", place=("down",))),
        # Created in one order, used in another.
        (layer("dense_1", place=("n", "d")), layer("dense", place=("n", "d_1"))),
    ],
)
def test_an_order_is_never_guessed(one, two) -> None:
    with pytest.raises(
        WeightsError, match=r"x\.keras does not define the order of 'x'|'d"
    ):
        match(ours(layer("a"), layer("b")), [one, two], "x.keras")


def test_variables_alone_have_no_order() -> None:
    theirs = ours(layer("x"), layer("y"))
    with pytest.raises(WeightsError, match=r"order of 'a' .* 'b' .* pass model="):
        match([layer("a"), layer("b")], theirs, "x.keras")
    assert pairing([layer("x"), layer("y")], theirs) == [("x", "x"), ("y", "y")]


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (
            [layer("a")],
            r"lacks a layer like the model's 'b' \(layer of float32\[3, 3\]",
        ),
        (
            [layer("a"), layer("c", shape=(4,))],
            r"lacks .* 'b' .*; the model lacks 'c' \(layer of float32\[4\]\)",
        ),
        (
            [layer("a"), layer("b"), layer("n", kind="normalization")],
            r"contains 'n' \(normalization of .*, which the model does not",
        ),
        ([layer("x"), layer("y"), layer("z")], "has 3 layers like 'z'.* model has 2"),
        (
            [layer("x"), layer("y"), layer("z", shape=(4,))],
            "contains 'z' .* which the model does not have",
        ),
        (
            [layer("a"), layer("b", shape=(3, 4))],
            r"has 'b' .*\[3, 4\].*, but the model needs 'b' .*\[3, 3\]",
        ),
        ([], "lacks a layer like the model's 'a'"),
    ],
)
def test_errors_name_the_difference(theirs, message) -> None:
    with pytest.raises(WeightsError, match=message):
        match(ours(layer("a"), layer("b")), ours(*theirs), "x.keras")


def test_the_same_name_does_not_match_another_class() -> None:
    mine = ours(layer("a", kind="layer_normalization"))
    with pytest.raises(WeightsError, match=r"needs 'a' \(layer_normalization"):
        match(mine, [layer("a", kind="group_normalization")], "x.keras")


@pytest.mark.parametrize("dtype", [np.int32, np.complex64, np.bool_, object])
def test_weights_must_be_floating_point(dtype) -> None:
    theirs = layer("a")._replace(arrays=(np.zeros((3, 3), dtype),))
    with pytest.raises(WeightsError, match="must be floating point"):
        match(ours(layer("a")), [theirs], "x.keras")


def test_only_a_complete_set_of_parts_forms_a_layer() -> None:
    role_of = lambda piece: piece if piece in ("forward", "backward", "key") else ""
    both = [("a", "forward"), ("a", "backward")]
    assert parts(both, role_of) == [(("a",), "forward"), (("a",), "backward")]
    for paths in ([("a", "key")], both[:1], [*both, ("a", "head")], [()]):
        assert parts(paths, role_of) == [(path, "") for path in paths]


def test_class_names_are_spelled_as_in_keras() -> None:
    words = {
        "Dense": "dense",
        "Conv1D": "conv1d",
        "SeparableConv2D": "separable_conv2d",
        "GRU": "gru",
        "MultiHeadAttention": "multi_head_attention",
    }
    assert {name: snake_case(name) for name in words} == words
