"""Sequences that become sequences: encoder-decoder, attention, Transformer."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import losses, metrics, models, nn
from fdl.arrays import END, PAD, UNKNOWN, Pairs, is_on
from fdl.data import Dataset, DatasetInfo, bucketed
from fdl.data.pairs import source_texts, target_texts
from fdl.files import write_whole
from fdl.learner import Learner
from fdl.learners import sequence_to_sequence
from fdl.models import beam_search
from fdl.tasks.catalog import describe
from fdl.tasks.classification import title_of
from fdl.tasks.config import Config
from fdl.tasks.nearest import nearest_rows
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.options import AttentionOptions, Seq2SeqOptions, TranslatorOptions
from fdl.tasks.task import ExportedModel, Task, Trained
from fdl.train import in_batches, predict

_BUCKETS, _BATCHES = 5, 8  # at most, and at least in one of several
_SHOWN = 9  # alignments
_COMPARED = 1000  # sources that the nearest neighbors are asked for
_AT_A_TIME = 500  # sources
_NEVER = -1  # in place of a word that is not in the vocabulary

MakeModel = Callable[[Any, DatasetInfo], Any]


def _encoder_decoder(options: Seq2SeqOptions, info: DatasetInfo) -> Any:
    return models.EncoderDecoder(
        info.num_classes,
        len(info.vocabulary),
        cell=options.cell,
        num_layers=options.num_layers,
        hidden_size=options.hidden_size,
        features=options.features,
        reverse=options.reverse,
        context=options.context,
        dropout_rate=options.dropout_rate,
    )


def _attention(options: AttentionOptions, info: DatasetInfo) -> Any:
    return models.AttentionEncoderDecoder(
        info.num_classes,
        len(info.vocabulary),
        hidden_size=options.hidden_size,
        features=options.features,
        attention_size=options.attention_size,
        dropout_rate=options.dropout_rate,
    )


def _transformer(options: TranslatorOptions, info: DatasetInfo) -> models.Transformer:
    blocks: dict[str, Any] = {
        "num_layers": options.num_layers,
        "num_heads": options.num_heads,
        "dropout_rate": options.dropout_rate,
        "norm": options.norm,
    }
    return models.Transformer(
        info.num_classes,
        nn.TransformerEncoder(**blocks),
        nn.TransformerDecoder(**blocks),
        options.features,
        source_vocab_size=len(info.vocabulary),
        pad_token=0,
    )


def _bucket(pairs: Pairs, config: Config) -> Any:
    # Each takes a program of its own, which has to be worth its compilation.
    worth = len(pairs.source) // (_BATCHES * config.batch_size)
    count = max(1, min(_BUCKETS, worth))
    return bucketed(pairs, count, batch_size=config.batch_size)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return the learner; its measures are of the plain cross entropy."""

    def answer(variables: Any, source: Any) -> Any:
        found = beam_search(model, variables, source, info.target_length, beams=1)
        return found.token[..., 0, :]

    make = functools.partial(
        sequence_to_sequence, model, make_optimizer(config, info), search=answer
    )
    learner, smoothing = make(), config.label_smoothing
    if not is_on(smoothing):
        return learner
    smoothed = functools.partial(
        losses.cross_entropy, label_smoothing=smoothing, except_class=0
    )
    return learner._replace(step=make(loss=smoothed).step)


class Translation(NamedTuple):
    """An answer to a source.

    Attributes:
        source: The source, as text.
        answer: The best answer, as text.
        score: Its log-probability, divided by the length penalty.
        finished: Whether it came to its end within the longest target of the training.
        alignment: What each of its words attended to, its end included; None if that
            was not asked for.
    """

    source: str
    answer: str
    score: float
    finished: bool
    alignment: Any = None


def translate(
    trained: Trained,
    source: np.ndarray,
    *,
    beams: int = 1,
    alpha: float = 0.6,
    alignments: bool = False,
) -> list[Translation]:
    """Return a run's answers to sources.

    Args:
        trained: A run of one of these tasks.
        source: The tokens of each source, as `fdl.data.pairs.source_tokens` makes
            them.
        beams: As for `fdl.models.beam_search`.
        alpha: As for `fdl.models.beam_search`.
        alignments: Whether to tell what each word attended to.

    Raises:
        ValueError: If a number is out of range, or a model without attention is asked
            for alignments.
    """
    info = trained.info
    if alignments and not hasattr(trained.model, "alignment"):
        raise ValueError(
            f"task {trained.config.task!r} has no attention, so no alignments: train "
            "attention or translator."
        )
    from fdl.report import Alignment  # matplotlib takes half a second

    search = functools.partial(
        beam_search,
        trained.model,
        trained.variables,
        length=info.target_length,
        beams=beams,
        alpha=alpha,
        alignments=alignments,
    )
    found = in_batches(search, source, _AT_A_TIME)
    best = jax.tree.map(lambda x: x[:, 0], found)
    sources, answers = source_texts(info, source), target_texts(info, best.token)
    made = []
    for row, (text, answer) in enumerate(zip(sources, answers, strict=True)):
        seen = None
        if alignments:
            read = units_of(info.vocabulary, source[row])
            said = units_of(info.class_names, best.token[row])
            weights = best.weights[row, : len(said), : len(read)]
            seen = Alignment(read, said, weights)
        score, finished = float(best.score[row]), bool(best.finished[row])
        made.append(Translation(text, answer, score, finished, seen))
    return made


def units_of(vocabulary: Sequence[str], tokens: np.ndarray) -> list[str]:
    """Return what tokens stand for, without padding.

    Example:
        >>> units_of(("<pad>", "<s>", "</s>", "<unk>", "a"), np.array([4, 2, 0]))
        ['a', '</s>']
    """
    return [vocabulary[token] for token in tokens if token != PAD]


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Measure the answers of greedy search, and draw where they are wrong.

    Writes `answers.tsv`, `errors_by_length.png`, `confusions.png` and, of models with
    attention, `alignments.png`. A source with several right answers counts once, by
    the nearest of them. Beside it stands the baseline, on the first 1,000 sources: the
    answer to the most similar source of the training.
    """
    from fdl import report  # matplotlib takes half a second, wanted only here

    info, name = trained.info, title_of(trained)
    source, right = _by_source(dataset.test)
    tokens = predict(trained.learner, trained.state, source)
    answers = [_words(row) for row in tokens]
    found = metrics.edits(answers, right)
    rows = nearest_rows(np.asarray(dataset.train.source), source[:_COMPARED])
    nearest = [_words(row) for row in np.asarray(dataset.train.target)[rows]]
    baseline = metrics.edits(nearest, right[:_COMPARED])

    texts = source_texts(info, source), target_texts(info, tokens)
    said = [" | ".join(target_texts(info, _padded(some))) for some in right]
    lines = ["\t".join(row) for row in zip(*texts, said, strict=True)]
    header = "\t".join((*info.columns, "right"))
    write_whole(folder / "answers.tsv", "\n".join([header, *lines, ""]).encode())

    wrong = np.array([a not in some for a, some in zip(answers, right, strict=True)])
    title = f"{name}: {len(source):,} test sources"
    report.draw_errors_by_length(
        folder / "errors_by_length",
        wrong.astype(float),
        np.sum(source != PAD, axis=-1),
        title=f"{title}, {wrong.mean():.1%} answered wrongly",
    )
    confused = _confused(answers, right)
    words = info.class_names
    named = lambda token: None if token is None else words[token] if token >= 0 else "?"
    report.draw_commonest(
        folder / "confusions",
        {(named(a), named(b)): count for (a, b), count in confused.items()},
        f"{name}: commonest edits of {found.edits:,}",
    )
    if hasattr(trained.model, "alignment"):
        shown = translate(trained, source[:_SHOWN], alignments=True)
        report.draw_alignments(
            folder / "alignments",
            [one.alignment for one in shown],
            title=f"{name}: source across, answer down",
        )
    return {
        "exact_match": found.exact_match,
        "error_rate": found.error_rate,
        "baseline_exact_match": baseline.exact_match,
        "baseline_error_rate": baseline.error_rate,
    }


Words = tuple[int, ...]


def _words(row: np.ndarray) -> Words:
    """Return the tokens of a target before its end.

    Example:
        >>> _words(np.array([5, 7, 2, 0]))
        (5, 7)
    """
    ends = np.flatnonzero((row == END) | (row == PAD))
    return tuple(row[: ends[0]].tolist() if len(ends) else row.tolist())


def _by_source(pairs: Pairs) -> tuple[np.ndarray, list[list[Words]]]:
    """Return each source once, in order, and all of its targets."""
    source, target = np.asarray(pairs.source), np.asarray(pairs.target)
    rows: dict[bytes, list[int]] = {}
    for row, tokens in enumerate(source):
        rows.setdefault(tokens.tobytes(), []).append(row)
    # A word that is not in the vocabulary cannot be answered.
    known = np.where(target == UNKNOWN, _NEVER, target)
    right = [[_words(known[row]) for row in some] for some in rows.values()]
    return source[[some[0] for some in rows.values()]], right


def _padded(targets: list[Words]) -> np.ndarray:
    """Return targets as tokens again."""
    longest = max(map(len, targets))
    rows = [(*words, *(PAD,) * (longest - len(words))) for words in targets]
    tokens = np.array(rows, np.int32).reshape(len(targets), longest)
    return np.where(tokens == _NEVER, UNKNOWN, tokens)


def _confused(answers: list[Words], right: list[list[Words]]) -> Counter:
    """Count the edits that make answers right, by what was answered and what is right.

    Example:
        >>> _confused([(4, 5)], [[(4, 6, 7)]])
        Counter({(5, 6): 1, (None, 7): 1})
    """
    counts: Counter = Counter()
    for answer, some in zip(answers, right, strict=True):
        if answer in some:
            continue
        nearest = min(some, key=lambda one: metrics.edit_distance(answer, one))
        pairs = metrics.alignment(answer, nearest)
        counts.update((a, b) for a, b in pairs if a != b)
    return counts


def _parts(trained: Trained) -> dict[str, ExportedModel]:
    """Return the model with one source and what is read of one target."""
    (length,) = trained.info.input_shape
    source = np.zeros((1, length), np.int32)
    read = np.zeros((1, trained.info.target_length), np.int32)
    inputs = (source, read)
    return {"model": ExportedModel(trained.model, trained.variables, inputs)}


def _task(name: str, make_model: MakeModel) -> Task:
    return Task(
        **vars(describe(name)),
        make_model=make_model,
        learn=_learn,
        bucket=_bucket,
        finish=_finish,
        parts=_parts,
    )


seq2seq = _task("seq2seq", _encoder_decoder)
attention = _task("attention", _attention)
translator = _task("translator", _transformer)
