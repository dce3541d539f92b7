"""The Transformer encoder as a classifier of texts."""

from fdl import nn
from fdl.data import DatasetInfo
from fdl.models import TextClassifier
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.sequence_options import TextClassifierOptions
from fdl.tasks.task import Task


def _make_model(options: TextClassifierOptions, info: DatasetInfo) -> TextClassifier:
    encoder = nn.TransformerEncoder(
        num_layers=options.num_layers,
        num_heads=options.num_heads,
        dropout_rate=options.dropout_rate,
        norm=options.norm,
        activation=nn.gelu,
    )
    return TextClassifier(
        info.num_classes,
        len(info.vocabulary),
        encoder,
        options.features,
        positions=options.positions,
        max_length=info.input_shape[0],
    )


text_classifier = Task(
    **vars(describe("text-classifier")),
    make_model=_make_model,
    learn=classify,
    finish=draw_mistakes,
)
