"""The Transformer on patches of digits."""

from fdl import nn
from fdl.data import DatasetInfo
from fdl.models import VisionTransformer
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.options import TransformerOptions
from fdl.tasks.task import Task


def _make_model(options: TransformerOptions, info: DatasetInfo) -> VisionTransformer:
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
    **vars(describe("transformer")),
    make_model=_make_model,
    learn=classify,
    finish=draw_mistakes,
)
