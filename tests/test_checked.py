"""Types and shapes are checked: of arguments, and of what is returned."""

import jaxtyping
import numpy as np
import pytest
from jaxtyping import Float

from checked import checked, jaxtyped
from fdl import ops

X = np.zeros((3, 4), np.float32)


def test_a_name_of_an_axis_has_one_size_from_arguments_to_what_is_returned() -> None:
    @jaxtyped(typechecker=checked)
    def cut(x: Float[np.ndarray, "n m"], rows: int = 0) -> Float[np.ndarray, "n m"]:
        return x[rows:]

    assert cut(X) is not X
    for wrong in (lambda: cut(X, 1), lambda: cut(X[0]), lambda: cut(X, rows="1")):
        with pytest.raises(jaxtyping.TypeCheckError, match="cut"):
            wrong()
    with pytest.raises(TypeError, match="'x'"):
        cut()


def test_each_call_of_a_function_that_is_defined_in_another_is_checked() -> None:
    def define(kind):
        @jaxtyped(typechecker=checked)
        def same(x: kind) -> kind:
            return x

        return same

    assert define(int)(1) == 1
    assert define(str)("1") == "1"
    with pytest.raises(jaxtyping.TypeCheckError):
        define(int)("1")


def test_functions_of_fdl_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError, match="global_max_pool"):
        ops.global_max_pool(X[0])
