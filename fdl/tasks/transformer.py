"""The Transformer on patches of digits."""

import dataclasses
from typing import Literal

from fdl import nn
from fdl.arrays import Number
from fdl.data import DatasetInfo
from fdl.models import VisionTransformer
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Options:
    """What the model is like.

    Attributes:
        patch_size: Height and width of a patch in pixels; must divide 28.
        features: Width of a patch's vector.
        num_layers: Number of blocks.
        num_heads: Heads of attention; must divide the features.
        hidden_size: Width between the two dense layers of a block.
        dropout_rate: Fraction dropped of what each part of a block gives.
        norm: Normalize after each part of a block, or before it.
        pooling: Classify the mean of all patches, or a learned token.
    """

    patch_size: int = 7
    features: int = 64
    num_layers: int = 4
    num_heads: int = 4
    hidden_size: int = 128
    dropout_rate: Number = 0.0
    norm: Literal["pre", "post"] = "pre"
    pooling: Literal["mean", "token"] = "mean"


def _make_model(options: Options, info: DatasetInfo) -> VisionTransformer:
    encoder = nn.TransformerEncoder(
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        hidden_size=options.hidden_size,
        dropout_rate=options.dropout_rate,
        norm=options.norm,
        activation=nn.gelu,
    )
    return VisionTransformer(
        info.num_classes,
        encoder,
        options.features,
        options.patch_size,
        options.pooling,
    )


transformer = Task(
    name="transformer",
    title="vision Transformer on 7x7 patches, 138,890 parameters",
    paper="Dosovitskiy et al., 2021, An image is worth 16x16 words",
    epochs=(8, 40),
    batch_size=64,
    learning_rates={"one-cycle": 2e-3, "constant": 1e-3},
    metric="accuracy",
    mode="max",
    make_model=_make_model,
    learn=classify,
    options=Options(),
    finish=draw_mistakes,
    predicts="classes",
)
