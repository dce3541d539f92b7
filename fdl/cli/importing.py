"""`fdl import`."""

import dataclasses
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

import fdl
from fdl.cli.command import AnswerIsNoError, Command, OptionalPath, out, unset
from fdl.cli.summary import as_json
from fdl.files import json_text

_CLOSE = 1e-5


@dataclasses.dataclass(frozen=True)
class Import(Command):
    """Import a Keras model, and show its layers.

    Reads `.keras` and whole-model `.h5` files without Keras, and runs no code in them.
    --to writes a folder that `fdl.load` opens; `fdl train classify --model FILE` trains
    the model.

    Attributes:
        file: File of the model.
        check: Compare its predictions with those of Keras, which must be installed.
        to: Folder to write, with config.json and weights.safetensors.
        json: Print one JSON object instead of a table.
    """

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    check: bool = False
    to: Annotated[OptionalPath, unset("default: none")] = None
    json: bool = False

    def __call__(self) -> None:
        """Import, show, compare, write."""
        from fdl.keras.graph.summary import layers_of

        if self.to is not None and self.to.exists():
            raise ValueError(f"{self.to} already exists: use another name.")
        model, variables = fdl.keras.import_model(self.file)
        found = layers_of(model, variables)
        far = _difference(self.file, model, variables) if self.check else None
        if self.to is not None:
            fdl.runs.write_imported(self.to, model, variables)
        if self.json:
            said = as_json(found)
            print(json_text(said if far is None else said | {"difference": far}))
        else:
            out.print(str(found), soft_wrap=True)
            if far is not None:
                out.print(f"differs from Keras by {far:.1e} of the largest output")
            if self.to is not None:
                out.print(f"written to {self.to}", soft_wrap=True)
        if far is not None and not far <= _CLOSE:
            raise AnswerIsNoError(
                f"the predictions of {self.file} in fdl and Keras differ by {far:.1e} "
                "of the largest output."
            )


def _difference(file: Path, model: Any, variables: Any) -> float:
    """Return the relative difference of predictions from Keras', on random inputs."""
    import jax  # takes half a second, which help and completion save
    import numpy as np

    from fdl.keras.graph.arrays import examples

    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        keras: Any = importlib.import_module("keras")
    except ImportError as error:
        raise ValueError(
            f"--check needs {error.name}, which is not installed: pip install keras."
        ) from error
    try:
        twin = keras.models.load_model(file, compile=False)
    except Exception as error:  # Keras may raise anything
        raise ValueError(f"Keras cannot open {file}: {error}") from error
    rng = np.random.default_rng(0)

    def drawn(x: Any) -> Any:
        shape = (4, *x.shape[1:])
        if np.issubdtype(x.dtype, np.floating):
            return rng.normal(size=shape).astype(x.dtype)
        return rng.integers(0, 2, shape).astype(x.dtype)

    names = model.input_names
    arrays = map(drawn, examples(model.graph, 32))
    given: Any = dict(zip(names, arrays, strict=True))
    if len(names) == 1 and not isinstance(model.graph.inputs, Mapping):
        (given,) = given.values()
    ours = jax.tree.leaves(model.apply(variables, given))
    theirs = keras.tree.flatten(twin(given))
    return max(
        float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max(initial=0))
        / max(1e-3, float(np.abs(np.asarray(b, float)).max(initial=0)))
        for a, b in zip(ours, theirs, strict=True)
    )
