"""The page of examples: what each program does, and all of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "examples"
# The simplest first; some with a picture, and what is on it.
_EXAMPLES = {
    "mnist_cnn": None,
    "lstm_rows": None,
    "keras_to_jax": None,
    "thousand_seeds": (
        "thousand_seeds.png",
        "Histogram of the test accuracy of a thousand networks",
    ),
    "fine_tune": None,
    "mnist_vae": ("vae-samples.png", "Digits that a variational autoencoder made"),
    "gan": ("gan.png", "Digits that a generative adversarial network made"),
    "language_model": None,
    "cluster_sweep": None,
}


def page() -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    assert set(_EXAMPLES) == {file.stem for file in _FOLDER.glob("*.py")}
    yield from ("# Examples", "")
    yield "Whole programs, to copy and change. Each says at its top how to start it."
    for name, picture in _EXAMPLES.items():
        code = (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
        what, *_ = (ast.get_docstring(ast.parse(code)) or "").split("\n\n")
        yield from ("", f"## {what.rstrip('.')}", "")
        if picture is not None:
            file, about = picture
            yield f"![{about}](../bench/results/pictures/{file})\n"
        yield f"```{{literalinclude}} ../examples/{name}.py\n:language: python\n```"
