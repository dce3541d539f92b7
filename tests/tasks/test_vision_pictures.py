"""Pictures that vision tasks draw at the end of a run."""

import numpy as np

import fdl
from fdl import report, tasks
from fdl.tasks.vision import first_kernel
from runs.small import few

DATA = few(30)


def pictures_of(name, folder, monkeypatch, **options):
    """Draw the pictures of a task with random weights; return its activation maps."""
    maps = []
    record = lambda path, images, found, captions, title: maps.append(
        (np.asarray(found), captions)
    )
    monkeypatch.setattr(report, "draw_activation_maps", record)
    task, config = tasks.find(name), fdl.runs.configure(name, batch_size=10, **options)
    trained = tasks.outline(task, config, DATA.info)
    state = tasks.draw_state(trained)
    values = {field: getattr(trained, field) for field in ("model", "learner")}
    trained = tasks.Trained(config, DATA.info, **values, state=state)
    assert task.finish(trained, DATA, folder) == {}
    return maps


def test_a_residual_network_draws_features_and_activation_maps(
    tmp_path, monkeypatch
) -> None:
    ((maps, captions),) = pictures_of("resnet", tmp_path, monkeypatch, width=4)
    classes = np.unique(DATA.test.label)
    assert maps.shape == (len(classes), 7, 7)
    assert [one.split("\n")[0] for one in captions] == [str(k) for k in classes]
    names = ["confusion", "features", "kernels", "mistakes"]
    assert sorted(file.stem for file in tmp_path.iterdir()) == names


def test_the_first_kernel_is_the_one_applied_to_the_image() -> None:
    params = {
        "a": {"kernel": np.ones((3, 3, 2, 8))},
        "b": {"kernel": np.ones((5, 5, 1, 8))},
        "c": {"kernel": np.ones((7, 7, 1, 8))},
    }
    assert first_kernel(params, 1).shape == (5, 5, 1, 8)
    assert first_kernel(params, 3) is None
    assert first_kernel({"dense": {"kernel": np.ones((9, 9))}}, 1) is None


def test_images_with_two_channels_are_not_drawn(tmp_path, monkeypatch) -> None:
    two = np.zeros((4, 8, 8, 2), np.uint8)
    data = fdl.data.from_arrays(two, [0, 1, 0, 1], test=(two, [0, 1, 0, 1]))
    config = fdl.runs.configure("resnet", batch_size=2)
    trained = tasks.Trained(config, data.info, *[None] * 3)
    guess = np.eye(2)[[1, 1, 1, 1]]
    monkeypatch.setattr("fdl.tasks.classification.predict", lambda *given: guess)
    assert tasks.find("resnet").finish(trained, data, tmp_path) == {}
    assert [file.name for file in tmp_path.iterdir()] == ["confusion.png"]
