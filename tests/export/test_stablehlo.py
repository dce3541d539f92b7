"""Runs exported as StableHLO functions, which JAX calls without fdl."""

import json
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

import fdl
from fdl import tasks
from fdl.arrays import DataError
from fdl.data import example
from fdl.export import ExportError, read_stablehlo, write_stablehlo
from fdl.runs.exporting import export
from models import IMAGES, untrained

JAX_ALONE = """
import sys, numpy as np, jax
function = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
print(jax.jit(function.call)(np.load(sys.argv[2]))[0, 3])
assert "fdl" not in sys.modules
"""


def inputs_for(trained: tasks.Trained, count: int) -> np.ndarray:
    like = example(trained.info)[0]
    drawn = np.random.default_rng(count).integers(0, 10, (count, *like.shape[1:]))
    return (drawn if trained.info.kind == "text" else drawn * 25).astype(like.dtype)


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("cnn", {}, "beside"),
        (
            "lstm",
            {"hidden_size": 8, "steps": "pixels", "bidirectional": True},
            "inside",
        ),
        ("autoencoder", {"architecture": "conv", "hidden_sizes": (8,)}, "inside"),
        ("transformer", {"num_layers": 1, "features": 8, "hidden_size": 8}, "inside"),
    ],
)
def test_the_function_predicts_as_the_run(tmp_path, name, options, parameters) -> None:
    trained, task = untrained(name, **options)
    export(trained, task, tmp_path / "x.stablehlo", parameters=parameters)
    assert (tmp_path / "x.safetensors").exists() == (parameters == "beside")
    back = fdl.load(tmp_path / "x.stablehlo")
    assert back.exported.platforms == ("cpu", "cuda", "tpu")
    x = inputs_for(trained, 5)
    expected = fdl.predict(trained.learner, trained.state, x)
    found = back.predict(x, batch_size=3)  # batches of three and two
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.std(found) > 0
    assert np.abs(found - found[::-1]).max() > 1e-5


def test_parts_return_the_outputs_of_their_models(tmp_path) -> None:
    trained, task = untrained("gan", width=4)
    file = tmp_path / "x.stablehlo"
    with pytest.raises(ValueError, match="choose one of generator, discriminator"):
        export(trained, task, file)
    export(trained, task, file, part="generator")
    latent = np.ones((3, 64), np.float32)
    back = read_stablehlo(file)
    average = trained.state.extra["average"]
    variables = {"params": average["params"], **average["model_state"]}
    made = trained.model.generator.apply(variables, latent)
    np.testing.assert_allclose(back.predict(latent), made, atol=1e-6)
    assert back.predicts == "nothing"


def test_jax_alone_serves_the_file(tmp_path) -> None:
    trained, task = untrained("mlp")
    export(trained, task, tmp_path / "x.stablehlo")
    x = inputs_for(trained, 2)
    np.save(tmp_path / "x.npy", x)
    words = [tmp_path / "x.stablehlo", tmp_path / "x.npy"]
    done = subprocess.run(
        [sys.executable, "-c", JAX_ALONE, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = fdl.predict(trained.learner, trained.state, x)[0, 3]
    np.testing.assert_allclose(float(done.stdout), expected, rtol=1e-4)


def test_the_file_describes_its_model_but_not_where_the_data_was(tmp_path) -> None:
    trained, task = untrained("mlp")
    export(trained, task, tmp_path / "x.stablehlo")
    back = read_stablehlo(tmp_path / "x.stablehlo")
    assert back.info == IMAGES._replace(source="")
    assert (back.facts.task, back.predicts) == ("mlp", "classes")
    assert back.facts.versions["jax"] == jax.__version__
    assert b"/home/me" not in (tmp_path / "x.stablehlo").read_bytes()


def test_members_make_an_ensemble(tmp_path) -> None:
    trained, _ = untrained("mlp")
    members = fdl.many(trained.learner, 3)
    state = members.init(jax.random.key(0), example(IMAGES))
    x = inputs_for(trained, 4)
    for name, answer in {
        "members": lambda x: members.predict(state, x),
        "mean": lambda x: members.predict(state, x).mean(axis=0),
    }.items():
        write_stablehlo(tmp_path / f"{name}.stablehlo", answer, x)
    each = read_stablehlo(tmp_path / "members.stablehlo").predict(x, batch_size=3)
    np.testing.assert_allclose(each, fdl.predict(members, state, x), atol=1e-6)
    mean = read_stablehlo(tmp_path / "mean.stablehlo")
    np.testing.assert_allclose(mean.predict(x), each.mean(axis=0), atol=1e-6)
    with pytest.raises(ExportError, match="does not say what it was trained on"):
        _ = mean.info


def test_named_tuples_are_returned_as_dictionaries(tmp_path) -> None:
    file = tmp_path / "x.stablehlo"
    write_stablehlo(file, lambda x: [fdl.Batch(x, (x + 1,))], np.zeros((1, 2)))
    (found,) = read_stablehlo(file).predict(np.zeros((3, 2)))
    assert found["label"][0].shape == (3, 2)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            np.zeros((2, 28, 28), np.uint8),
            r"takes uint8\[batch, 28, 28, 1\], not uint8",
        ),
        (np.zeros((2, 28, 28, 1), np.float32), r"not float32\[2, 28, 28, 1\]"),
        ((np.zeros((2, 28, 28, 1), np.uint8),) * 2, r"uint8\[2, 28, 28, 1\], uint8"),
        (np.zeros((0, 28, 28, 1), np.uint8), "data"),
    ],
)
def test_other_inputs_are_refused(tmp_path, inputs, words) -> None:
    write_stablehlo(
        tmp_path / "x.stablehlo", lambda x: x.sum((1, 2)), example(IMAGES).image
    )
    with pytest.raises(DataError, match=words):
        read_stablehlo(tmp_path / "x.stablehlo").predict(inputs)


def _with_metadata(content: bytes, **changes) -> bytes:
    """Return a file with some of its metadata changed."""
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.infolist()[0].header_offset
        metadata = json.loads(archive.read("fdl.json")) | changes
    buffer = io.BytesIO(content[:start])
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("fdl.json", json.dumps(metadata))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"not StableHLO at all",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-3],
        lambda content: content[:500] + b"\x00\xff\x01" + content[503:],
        lambda content: content[content.index(b"PK\x03\x04") :],
        lambda content: _with_metadata(content, sha256="0" * 64),
        lambda content: _with_metadata(content, parameters=3),
        lambda content: _with_metadata(content, parameters=[]),
        lambda content: _with_metadata(content, facts="{}"),
        lambda content: _with_metadata(content, facts=[1]),
        lambda content: _with_metadata(content, facts='{"task": 1}'),
        lambda content: _with_metadata(content, parameters="beside"),
    ],
)
def test_damaged_and_foreign_files_are_refused(tmp_path, damage) -> None:
    file = tmp_path / "x.stablehlo"
    weights = np.ones((3, 2), np.float32)
    write_stablehlo(file, lambda x: x @ weights, np.zeros((1, 3), np.float32))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ExportError, match=r"x\.stablehlo"):
        read_stablehlo(file)


def test_parameters_of_another_export_are_refused(tmp_path) -> None:
    trained, task = untrained("mlp")
    export(trained, task, tmp_path / "x.stablehlo", parameters="beside")
    export(*untrained("cnn"), tmp_path / "x.safetensors")
    with pytest.raises(ExportError, match="contains params/conv1/bias, which"):
        read_stablehlo(tmp_path / "x.stablehlo")
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(ExportError, match=r"x\.safetensors cannot be read"):
        read_stablehlo(tmp_path / "x.stablehlo")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.zeros(3),
        lambda x: x.sum(),
        lambda x: x[: len(x)],
        lambda x: x if x.shape[0] > 3 else -x,
        lambda x: jax.pure_callback(lambda x: x, x, x),
        lambda x: 1 / 0,
    ],
)
def test_functions_that_cannot_be_exported_are_refused(tmp_path, function) -> None:
    with pytest.raises(ExportError):
        write_stablehlo(tmp_path / "x.stablehlo", function, np.zeros((1, 3)))
    assert not list(tmp_path.iterdir())


def test_weights_keep_their_names_and_values(tmp_path) -> None:
    from safetensors.numpy import load_file

    trained, task = untrained("gan", width=4)
    export(trained, task, tmp_path / "x.safetensors", part="generator")
    found = load_file(tmp_path / "x.safetensors")
    average = trained.state.extra["average"]
    kernel = average["params"]["conv1"]["kernel"]
    assert (found["params/conv1/kernel"] == kernel).all()
    assert "batch_stats/norm1/mean" in found


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("x.pt", {}, r"\.stablehlo, .*\.safetensors, \.keras, \.weights\.h5"),
        ("x.keras", {"parameters": "beside"}, "only .stablehlo files can"),
        ("no/x.stablehlo", {}, "no is not a folder"),
        ("a.stablehlo", {}, r"a\.stablehlo is a folder"),
    ],
)
def test_bad_paths_and_options_are_refused(tmp_path, name, options, words) -> None:
    (tmp_path / "a.stablehlo").mkdir()
    with pytest.raises(ValueError, match=words):
        export(*untrained("mlp"), tmp_path / name, **options)
