"""Descriptions of all tasks, without JAX."""

import functools
import warnings

from fdl.plain import unknown
from fdl.tasks.config import OF_SOME
from fdl.tasks.description import Description
from fdl.tasks.installed import installed
from fdl.tasks.options import (
    AlexNetOptions,
    AutoencoderOptions,
    CNNOptions,
    DenseNetOptions,
    GANOptions,
    GoogLeNetOptions,
    LeNet5Options,
    MLPOptions,
    OwnModel,
    RecurrentOptions,
    RegressOptions,
    ResNetOptions,
    TransformerOptions,
    VAEOptions,
    VGGOptions,
)
from fdl.tasks.sequence_options import (
    AttentionOptions,
    LanguageModelOptions,
    MusicOptions,
    Seq2SeqOptions,
    TextClassifierOptions,
    TextCNNOptions,
    TranslatorOptions,
)

# What classifiers share.
_classifier = functools.partial(
    Description,
    supports=OF_SOME,
    metric="accuracy",
    mode="max",
    loss_unit="nats",
    predicts="classes",
)
_text_classifier = functools.partial(
    _classifier,
    supports=tuple(name for name in OF_SOME if name != "augment"),
    takes=("document",),
    dataset=None,
    baseline="naive Bayes",
)

# What sequence-to-sequence tasks share.
_translator = functools.partial(
    Description,
    batch_size=128,
    clip_norm=1.0,
    supports=("label_smoothing", "ema", "precision", "freeze"),
    metric="exact_match",
    mode="max",
    loss_unit="nats",
    takes=("pair",),
    dataset="dates",
    predicts="sequences",
    baseline="the answer to the most similar source",
)

_ALL = (
    _classifier(
        name="cnn",
        title="small convolutional network",
        paper="LeCun et al., 1998, Gradient-based learning applied to document "
        "recognition",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=CNNOptions(),
    ),
    _classifier(
        name="lenet5",
        title="LeNet-5",
        paper="LeCun et al., 1998, Gradient-based learning applied to document "
        "recognition",
        epochs=(20, 60),
        batch_size=64,
        learning_rates={"one-cycle": 3e-3, "constant": 1e-3},
        options=LeNet5Options(),
    ),
    _classifier(
        name="alexnet",
        title="AlexNet, small",
        paper="Krizhevsky et al., 2012, ImageNet classification with deep "
        "convolutional neural networks",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"one-cycle": 2e-3, "constant": 5e-4},
        options=AlexNetOptions(),
    ),
    _classifier(
        name="vgg",
        title="VGG, small",
        paper="Simonyan & Zisserman, 2015, Very deep convolutional networks for "
        "large-scale image recognition",
        epochs=(5, 15),
        batch_size=64,
        learning_rates={"one-cycle": 3e-3, "constant": 1e-3},
        options=VGGOptions(),
    ),
    _classifier(
        name="googlenet",
        title="GoogLeNet, small",
        paper="Szegedy et al., 2015, Going deeper with convolutions",
        epochs=(10, 30),
        batch_size=64,
        learning_rates={"one-cycle": 3e-3, "constant": 1e-3},
        options=GoogLeNetOptions(),
    ),
    _classifier(
        name="resnet",
        title="residual network, small",
        paper="He et al., 2016, Deep residual learning for image recognition",
        epochs=(3, 12),
        batch_size=64,
        learning_rates={"one-cycle": 5e-3, "constant": 1e-3},
        options=ResNetOptions(),
    ),
    _classifier(
        name="densenet",
        title="DenseNet, small",
        paper="Huang et al., 2017, Densely connected convolutional networks",
        epochs=(3, 12),
        batch_size=64,
        learning_rates={"one-cycle": 5e-3, "constant": 1e-3},
        options=DenseNetOptions(),
    ),
    _classifier(
        name="mlp",
        title="multilayer perceptron",
        paper="Rumelhart et al., 1986, Learning representations by "
        "back-propagating errors",
        epochs=(5, 20),
        batch_size=32,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=MLPOptions(),
        takes=("image", "vector"),
    ),
    Description(
        name="regress",
        title="perceptron for regression",
        paper="Rumelhart et al., 1986, Learning representations by "
        "back-propagating errors",
        epochs=(10, 60),
        batch_size=32,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        metric="r2_score",
        mode="max",
        options=RegressOptions(),
        takes=("number",),
        predicts="numbers",
        dataset=None,
    ),
    _classifier(
        name="mnist-fast",
        title="small convolutional network, two epochs",
        paper="LeCun et al., 1998, Gradient-based learning applied to document "
        "recognition",
        epochs=(2, 10),
        batch_size=64,
        learning_rates={"one-cycle": 7e-3, "constant": 1e-3},
    ),
    _classifier(
        name="rnn",
        title="simple recurrent network",
        paper="Elman, 1990, Finding structure in time",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=RecurrentOptions(),
    ),
    _classifier(
        name="lstm",
        title="long short-term memory",
        paper="Hochreiter & Schmidhuber, 1997, Long short-term memory",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=RecurrentOptions(),
    ),
    _classifier(
        name="gru",
        title="gated recurrent units",
        paper="Cho et al., 2014, Learning phrase representations using RNN "
        "encoder-decoder",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=RecurrentOptions(),
    ),
    Description(
        name="autoencoder",
        title="autoencoder, plain or denoising",
        paper="Hinton & Salakhutdinov, 2006, Reducing the dimensionality of data with "
        "neural networks",
        epochs=(30, 100),
        batch_size=100,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        supports=("augment", "ema", "precision", "freeze"),
        metric="squared_error",
        mode="min",
        loss_unit="nats",
        options=AutoencoderOptions(),
        predicts="images",
    ),
    Description(
        name="vae",
        title="variational autoencoder",
        paper="Kingma & Welling, 2014, Auto-encoding variational Bayes",
        epochs=(30, 100),
        batch_size=100,
        learning_rates={"one-cycle": 1e-3, "constant": 1e-3},
        metric="elbo",
        mode="max",
        loss_unit="nats",
        options=VAEOptions(),
        predicts="images",
        generates="images",
    ),
    Description(
        name="gan",
        title="generative adversarial network, DCGAN",
        paper="Radford et al., 2016, Unsupervised representation learning with DCGAN",
        epochs=(12, 60),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 2e-3},
        supports=(),
        metric="frechet_distance",
        mode="min",
        options=GANOptions(),
        generates="images",
    ),
    _classifier(
        name="transformer",
        title="vision Transformer on 7x7 patches",
        paper="Dosovitskiy et al., 2021, An image is worth 16x16 words",
        epochs=(8, 40),
        batch_size=64,
        learning_rates={"one-cycle": 2e-3, "constant": 1e-3},
        options=TransformerOptions(),
    ),
    Description(
        name="language-model",
        title="decoder-only Transformer on characters",
        paper="Radford et al., 2018, Improving language understanding by generative "
        "pre-training",
        epochs=(15, 15),
        takes=("text",),
        dataset="python-docs",
        batch_size=8,
        learning_rates={"one-cycle": 3e-3, "constant": 1e-3},
        supports=("label_smoothing", "ema", "precision", "freeze"),
        metric="bits_per_character",
        mode="min",
        loss_unit="nats",
        options=LanguageModelOptions(),
        generates="text",
    ),
    Description(
        name="music",
        title="recurrent model of music",
        paper="Chung et al., 2014, Empirical evaluation of gated recurrent neural "
        "networks on sequence modeling",
        epochs=(2, 9),
        batch_size=8,
        learning_rates={"one-cycle": 2e-2, "constant": 3e-3},
        metric="nats_per_frame",
        mode="min",
        loss_unit="nats",
        options=MusicOptions(),
        generates="music",
        takes=("music",),
        dataset="jsb",
        baseline="a Markov chain for each key",
    ),
    _text_classifier(
        name="textcnn",
        title="convolutions over sentences",
        paper="Kim, 2014, Convolutional neural networks for sentence classification",
        epochs=(3, 10),
        batch_size=50,
        learning_rates={"one-cycle": 2e-3, "constant": 1e-3},
        options=TextCNNOptions(),
        dataset="trec",
    ),
    _text_classifier(
        name="text-classifier",
        title="Transformer over texts",
        paper="Vaswani et al., 2017, Attention is all you need",
        epochs=(3, 10),
        batch_size=32,
        learning_rates={"one-cycle": 1e-3, "constant": 5e-4},
        options=TextClassifierOptions(),
    ),
    _translator(
        name="seq2seq",
        title="recurrent encoder-decoder",
        paper="Sutskever et al., 2014, Sequence to sequence learning with neural "
        "networks",
        epochs=(5, 20),
        learning_rates={"one-cycle": 5e-3, "constant": 1e-3},
        options=Seq2SeqOptions(),
    ),
    _translator(
        name="attention",
        title="encoder-decoder with attention",
        paper="Bahdanau et al., 2015, Neural machine translation by jointly learning "
        "to align and translate",
        epochs=(5, 20),
        learning_rates={"one-cycle": 5e-3, "constant": 1e-3},
        options=AttentionOptions(),
    ),
    _translator(
        name="translator",
        title="encoder-decoder Transformer",
        paper="Vaswani et al., 2017, Attention is all you need",
        epochs=(5, 20),
        learning_rates={"one-cycle": 2e-3, "inverse-sqrt": 2e-3, "constant": 5e-4},
        options=TranslatorOptions(),
    ),
    _classifier(
        name="classify",
        title="custom classifier (--model)",
        paper="any Linen module",
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        options=OwnModel(),
        takes=("image", "vector", "document"),
        baseline="naive Bayes",
    ),
)

DESCRIPTIONS: dict[str, Description] = {one.name: one for one in _ALL}
"""The descriptions of fdl's own tasks, by name."""


def names() -> tuple[str, ...]:
    """Return the names of all tasks: fdl's own, and those of installed packages."""
    return (*DESCRIPTIONS, *(name for name in installed() if name not in DESCRIPTIONS))


def known() -> list[Description]:
    """Return all tasks; warn about those of other packages that are broken."""
    found = []
    for name in names():
        try:
            found.append(describe(name))
        except ValueError as error:
            warnings.warn(f"task {name!r} is left out: {error}", stacklevel=2)
    return found


def describe(name: str) -> Description:
    """Return the description of a task; for fdl's own, without importing a model.

    Raises:
        ValueError: If there is no such task; the message lists the known ones.

    Example:
        >>> describe("cnn").config(dataset="mnist-5k").epochs
        20
    """
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]
    require_known(name)
    from fdl.tasks.registry import find  # imports JAX, and a module of another package

    return find(name)


def require_known(name: str) -> None:
    """Raise ValueError unless there is a task of that name."""
    if name not in names():
        raise ValueError(
            f"{unknown('task', name, names())} Name your own task with --task "
            "MODULE:NAME (from Python, task=...)."
        )
