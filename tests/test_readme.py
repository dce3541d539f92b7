"""The README is short, its code runs and its links work."""

import re
from pathlib import Path

import jax
import pytest

import fdl
from runs.small import few

pytestmark = pytest.mark.drawn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_first_screen_has_the_two_commands() -> None:
    block = re.search(r"```sh\n(.*?)```", README, re.DOTALL)
    assert block is not None
    first, second = block.group(1).splitlines()
    assert first.startswith("pip install '.[sample]' && fdl train cnn")
    assert second.startswith("pip install -e '.[test]' && pytest")


def test_the_fifteen_lines_run(capsys, monkeypatch) -> None:
    digits = few(400)
    monkeypatch.setattr(fdl.data, "load", lambda *args: digits)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.splitlines()) <= 15
    scope = {}
    exec(code.replace("epochs=20", "epochs=1"), scope)
    assert scope["probabilities"].shape == (400, 10)
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["README", "CONTRIBUTING", "SECURITY"])
def test_links_and_pictures_exist(name) -> None:
    text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)(#[^)]*)?\)", text)
    assert targets or name == "CONTRIBUTING"
    for file, place in targets:
        assert (ROOT / file).exists(), file
        if place:
            page = (ROOT / file).read_text(encoding="utf-8")
            titles = re.findall(r"^#+ (.*)", page, re.M)
            slugs = [
                re.sub(r"[^\w -]", "", x.lower()).replace(" ", "-") for x in titles
            ]
            assert place[1:] in slugs, f"{file}{place}"


def test_models_work_in_nnx() -> None:
    from flax import nnx

    x = jax.numpy.ones((2, 28, 28, 1))
    model = nnx.bridge.ToNNX(fdl.models.CNN(10), rngs=nnx.Rngs(0)).lazy_init(x)
    assert model(x).shape == (2, 10)
