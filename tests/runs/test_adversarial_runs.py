"""Runs of two models: what their weight files hold, and what only checkpoints hold."""

import shutil
import warnings

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from small import few

import fdl
from fdl import data, tasks
from fdl.cli import main
from fdl.runs import RunError, RunFolder, sweep, train

OPTIONS = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 50, "latent_size": 4}


@pytest.fixture(scope="module", autouse=True)
def _few_digits():
    dataset = few(200)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data, "load", lambda *_, **__: dataset)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("gan")


@pytest.fixture(scope="module")
def run(home):
    return train("gan", **OPTIONS, width=2, path=home / "gan")


def images(run):
    return run.generate(jax.random.key(1), tasks.Sampling(count=3))


def close(a, b) -> None:
    check = lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=2e-4)
    jax.tree.map(check, a, b)


def test_the_weight_file_holds_both_models_as_trained(run) -> None:
    found = load_file(RunFolder(run.path).weights)
    roots = {"/".join(name.split("/")[:2]) for name in found}
    assert roots == {
        "generator/batch_stats",
        "params/generator",
        "params/discriminator",
    }
    params = jax.tree.leaves((run.state.params, run.state.model_state))
    assert len(found) == len(params)
    assert sum(x.size for x in found.values()) == sum(x.size for x in params)


def test_a_loaded_run_generates_with_the_averaged_generator(run) -> None:
    again = fdl.load(run.path)
    np.testing.assert_array_equal(images(again), images(run))
    trained = run.state.params["generator"], run.state.model_state["generator"]
    plain = {"params": trained[0], "model_state": trained[1]}
    state = run.state._replace(extra={"average": plain})
    z = np.ones((2, 4), np.float32)
    difference = run.learner.predict(state, z) - run.predict(z)
    assert np.abs(difference).max() > 1e-3, "averaged, not trained weights"


def test_if_a_needed_checkpoint_is_damaged_the_previous_one_is_used(
    run, tmp_path, capsys
) -> None:
    shutil.copytree(run.path, tmp_path / "gan")
    checkpoints = tmp_path / "gan" / "checkpoints"
    shutil.rmtree(checkpoints / "8" / "d")
    with pytest.warns(UserWarning, match=f"{checkpoints}/8 cannot .* is used"):
        again = fdl.load(tmp_path / "gan")
    assert (again.epoch, int(again.state.step)) == (1, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # the command prints it as a line
        main(["eval", str(tmp_path / "gan")])
    captured = capsys.readouterr()
    assert "is used" in captured.err
    assert "after epoch 1 of 2" in captured.out
    shutil.rmtree(checkpoints)
    message = f"{checkpoints} has no checkpoint"
    with pytest.raises(RunError, match=message):
        fdl.load(tmp_path / "gan")
    with pytest.raises(SystemExit) as exit:
        main(["generate", str(tmp_path / "gan"), "--to", str(tmp_path / "a.png")])
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_commands_evaluate_and_generate(run, home, capsys) -> None:
    path = str(run.path)
    main(["eval", path])
    assert "test generator_loss" in capsys.readouterr().out
    main(["generate", path, "--count", "4", "--to", str(home / "made.png")])
    assert (home / "made.png").is_file()


@pytest.fixture(scope="module")
def swept(home):
    return sweep(
        "gan",
        **OPTIONS,
        architecture="dense",
        grid={"ema_decay": [0.5, 0.9]},
        path=home / "sweep",
    )


def test_the_best_of_a_sweep_opens_and_generates(swept) -> None:
    assert {one.settings["ema_decay"] for one in swept.outcomes} == {0.5, 0.9}
    values = [one.values for one in swept.outcomes]
    assert values == sorted(values), "the smallest distance is the best"
    best = fdl.load(swept.best)
    assert images(best).shape == (3, 28, 28, 1)
    assert best.config.options.ema_decay == swept.outcomes[0].settings["ema_decay"]
    assert best.metrics["frechet_distance"] == swept.outcomes[0].test_values[0]
    assert swept.outcomes[1].test_values == [], "only the best configuration is tested"


def test_the_best_member_equals_a_run_trained_alone(swept, home) -> None:
    best = fdl.load(swept.best)
    alone = train(best.config, path=home / "alone")
    close(best.state.params, alone.state.params)
    close(best.state.extra, alone.state.extra)
    close(images(best), images(alone))
    assert best.metrics["fake_logit"] == pytest.approx(
        alone.metrics["fake_logit"], abs=1e-3
    )
