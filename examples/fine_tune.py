r"""Fine-tune a pretrained network on a folder of images.

    python examples/fine_tune.py                  on generated images of strokes
    python examples/fine_tune.py FOLDER           your images, a folder for each class
    python examples/fine_tune.py FOLDER FILE.h5   with ResNet-50, from a Keras file

The backbone of a network, which is everything but its head, is pretrained on 5,000
digits, or loaded from the weights published by Keras. A new head for the classes in the
folder is trained first, with the backbone frozen, including the running statistics of
batch normalization; then the whole network is trained, at a lower learning rate. The
same with commands:

    fdl train vgg --dataset mnist-5k --run digits
    fdl train vgg --dataset 'folder:FOLDER?size=28&channels=1' --run head \
        --init-from digits --freeze backbone
    fdl train vgg --dataset 'folder:FOLDER?size=28&channels=1' --run all \
        --init-from head --learning-rate 1e-4
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from PIL import Image, ImageDraw

import fdl


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    folder: Path | None = None  # None for strokes
    weights: Path | None = None  # of ResNet-50; None to train a small network on digits
    form: str = "size=28&channels=1"  # format that images are converted to
    widths: tuple[int, ...] = (16, 32, 64)  # of the small network
    digits: int | None = None  # limit on the number of digits
    epochs: tuple[int, int, int] = (3, 20, 10)  # on digits, of the head, of all
    learning_rates: tuple[float, float] = (1e-2, 1e-4)  # of the head, of all
    seed: int = 0


PHOTOGRAPHS = Config(form="size=224&channels=3", epochs=(0, 10, 5))
SMOKE = Config(widths=(4, 8), digits=200, epochs=(3, 10, 3))


def main(config: Config) -> dict[str, float]:
    """Pretrain, train the head, train all; return the metrics on the test images."""
    with tempfile.TemporaryDirectory() as strokes:
        folder = config.folder or draw_strokes(Path(strokes))
        data = fdl.data.load(f"folder:{folder}?{config.form}")
    (before, *epochs), rates = config.epochs, config.learning_rates
    settings: dict[str, Any] = {"batch_size": 20, "key": jax.random.key(config.seed)}

    # The backbone computes a model's features; the rest is the head.
    options: dict[str, Any] = {}
    if config.weights is not None:
        model: Any = fdl.models.ResNet50(data.info.num_classes)
        mode = model.preprocessing  # the pixel format of the published weights
        options["preprocess"] = lambda image: fdl.models.preprocess(image, mode)
        backbone = fdl.models.backbone_layers(model, data.train.image)
        image = data.train.image[:1]
        loaded = fdl.keras.load_weights(config.weights, model, image, only=backbone)
    else:
        model = fdl.models.VGG(
            data.info.num_classes,
            block_sizes=(1,) * len(config.widths),
            widths=config.widths,
            hidden_sizes=(),
            batch_norm=True,
            momentum=0.9,
        )
        backbone = fdl.models.backbone_layers(model, data.train.image)
        digits = fdl.data.load("mnist-5k").train
        digits = fdl.Batch(*(x[: config.digits] for x in digits))
        learner = make_learner(model.clone(num_classes=10), 3e-3)
        run = fdl.fit(learner, digits, epochs=before, **settings)
        print(f"digits: training accuracy {run.history[-1].train['accuracy']:.2%}")
        loaded = {
            collection: {name: x for name, x in tree.items() if name in backbone}
            for collection, tree in run.state.variables.items()
        }

    def fit(learner: fdl.Learner, variables: Any, epochs: int, what: str) -> fdl.State:
        start = learner.init(config.seed, data.train).with_variables(variables)
        run = fdl.fit(learner, data.train, epochs=epochs, state=start, **settings)
        measured = fdl.evaluate(whole, run.state, data.validation)
        print(f"{what}: validation accuracy {measured['accuracy']:.2%}")
        return run.state

    whole = make_learner(model, rates[1], **options)
    # A frozen normalization uses its running statistics, as in Keras. `frozen` also
    # protects the backbone from weight decay, which needs no gradient.
    head = make_learner(fdl.nn.Frozen(model, backbone), rates[0], **options)
    state = fit(fdl.learners.frozen(head, backbone), loaded, epochs[0], "head")
    state = fit(whole, state.variables, epochs[1], "all")
    return fdl.evaluate(whole, state, data.test)


def make_learner(model: Any, rate: float, **options: Any) -> fdl.Learner:
    """Return a classification learner."""
    return fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optax.adam(rate), **options
    )


def draw_strokes(folder: Path) -> Path:
    """Draw strokes into a folder for each direction."""
    rng = np.random.default_rng(0)
    for name, (x, y) in {"flat": (9, 0), "steep": (0, 9), "slanted": (7, 7)}.items():
        (folder / name).mkdir()
        for number in range(48):
            image = Image.new("L", (28, 28))
            i, j = rng.integers(11, 17, 2)
            line = [int(z) for z in (i - x, j - y, i + x, j + y)]
            ImageDraw.Draw(image).line(line, fill=255, width=int(rng.integers(2, 5)))
            image.save(folder / name / f"{number}.png")
    return folder


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            config = Config()
        case [folder]:
            config = Config(Path(folder))
        case [folder, file]:
            config = dataclasses.replace(
                PHOTOGRAPHS, folder=Path(folder), weights=Path(file)
            )
        case _:
            sys.exit(__doc__)
    print(f"test accuracy {main(config)['accuracy']:.2%}")
