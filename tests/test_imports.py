"""What `import fdl` imports, and which packages may import which."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "tensorflow",
    "keras",
    "torch",
    "tensorflow_datasets",
    "orbax",
    "matplotlib",
    "PIL",
    "tyro",
    "distributed",
)


def test_import_is_light() -> None:
    program = (
        f"import sys, fdl; print([name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"


COMMANDS = """
--help
--version
bogus
train
train --help
train bogus
train cnn --help
train cnn --bogus
train cnn --epochs many
train cnn --epochs 0
train cnn --dataset bogus
train cnn --schedule bogus
train --resume
sweep --help
sweep gan --help
sweep mlp --grid bogus=1
sweep mlp --grid learning-rate=-1
sweep mlp --random learning-rate=1
sweep mlp --cluster nonsense
sweep mlp --cluster tcp://10.0.0.5:8786
compare --help
eval --help
eval
predict --help
predict run
generate --help
export --help
import --help
tasks
tasks vae
tasks bogus
data --help
"""


def test_help_and_usage_errors_do_not_import_jax() -> None:
    program = f"""
import contextlib, io, sys
from fdl.cli import main
for words in {COMMANDS!r}.splitlines():
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        with contextlib.suppress(SystemExit):
            main(words.split())
    late = "jax flax optax scipy matplotlib tensorflow_datasets distributed".split()
    found = [name for name in late if name in sys.modules]
    assert len(output.getvalue()) > 5 and not found, f"fdl {{words}}: {{found}}"
"""
    found = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr


def test_public_names_exist_and_others_do_not() -> None:
    import fdl

    assert {"fit", "many", "load", "models", "losses", "Batch"} <= set(dir(fdl))
    for name in dir(fdl):
        assert getattr(fdl, name) is not None
    with pytest.raises(AttributeError, match="fitt"):
        fdl.fitt  # noqa: B018


def test_import_rules_hold() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert found.returncode == 0, found.stdout


def test_every_public_name_is_documented() -> None:
    import inspect

    import fdl

    packages = (
        fdl,
        fdl.data,
        fdl.keras,
        fdl.learners,
        fdl.losses,
        fdl.metrics,
        fdl.models,
    )
    packages += (fdl.export, fdl.nn, fdl.ops, fdl.runs, fdl.tasks, fdl.train)
    bare = [
        f"{package.__name__}.{name}"
        for package in packages
        for name in dir(package)
        if not name.startswith("_")
        for thing in [getattr(package, name)]
        if (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__.startswith("fdl")
        and not inspect.getdoc(thing)
    ]
    assert not bare


def test_training_and_commands_name_no_learner() -> None:
    """This holds for their code: examples in docstrings need a learner."""
    import ast

    import fdl

    package = Path(fdl.__file__).parent
    folders = ("train", "runs", "cli")
    files = [file for folder in folders for file in (package / folder).glob("*.py")]
    used = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            used |= {getattr(node, field, None) for field in ("id", "attr", "value")}
    learners = {name for name in dir(fdl.learners) if not name.startswith("_")}
    assert "supervised" in learners
    assert "Train" in used
    assert not learners & used


def test_completion_shows_names_and_not_their_modules() -> None:
    import importlib
    import pkgutil
    from types import ModuleType

    import fdl

    assert {"data", "report", "runs", "tasks"} <= set(dir(fdl))
    for info in pkgutil.iter_modules(fdl.__path__):
        if not info.ispkg or info.name == "cli":
            continue
        package = importlib.import_module(f"fdl.{info.name}")
        shown = {name: getattr(package, name) for name in dir(package)}
        files = {name for name, x in shown.items() if isinstance(x, ModuleType)}
        public = {"augment", "constraints", "initializers", "pairs", "schedules"}
        assert files <= public, package
        others = {name.lower().replace("_", "") for name in shown.keys() - files}
        assert not files & others, package


def test_types_are_published() -> None:
    import fdl

    assert (Path(fdl.__file__).parent / "py.typed").is_file()


def test_files_that_compare_with_keras_are_marked() -> None:
    """Only marked files run in the one test process that imports Keras."""
    tests = Path(__file__).parent
    uses = re.compile(r"^(from lazily|(import|from) (keras|tensorflow)\b)", re.M)
    texts = {file.name: file.read_text("utf-8") for file in tests.rglob("test_*.py")}
    found = {name for name, text in texts.items() if uses.search(text)}
    assert len(found) > 20
    assert {name for name in found if "mark.parity" not in texts[name]} == set()
