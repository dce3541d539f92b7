"""Sequence-to-sequence tasks: encoder-decoder, attention, Transformer."""

import functools
import importlib.util
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import losses, metrics, models, nn
from fdl.arrays import PAD, UNKNOWN, Pairs, is_on
from fdl.data import Dataset, DatasetInfo, bucketed
from fdl.data.pairs import source_texts, split_text, target_texts
from fdl.files import json_text, write_whole
from fdl.learner import Learner
from fdl.learners import sequence_to_sequence
from fdl.models import beam_search
from fdl.tasks.catalog import describe
from fdl.tasks.classification import title_of
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.sequence_options import (
    AttentionOptions,
    Seq2SeqOptions,
    TranslatorOptions,
)
from fdl.tasks.task import ExportedModel, Task, Trained
from fdl.train import in_batches, predict

_BUCKETS, _BATCHES = 5, 100  # most buckets; fewest batches in each of several
_SHOWN = 9  # alignments in a picture
_COMPARED = 1000  # sources that the nearest-neighbor baseline answers
_AT_A_TIME = 500  # hypotheses

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
    # Each bucket compiles a program of its own, which has to pay off.
    worth = len(pairs.source) // (_BATCHES * config.batch_size)
    count = max(1, min(_BUCKETS, worth))
    return bucketed(pairs, count, batch_size=config.batch_size)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return the learner; its metrics use the cross entropy without smoothing."""

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
        finished: Whether it ends with an end token, and is not cut off.
        alignment: What each of its words attended to, including the end; None if not
            requested.
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
    length: int | None = None,
    alignments: bool = False,
) -> list[Translation]:
    """Return a run's answers to sources.

    Args:
        trained: A run of one of these tasks.
        source: The tokens of each source, as `fdl.data.pairs.source_tokens` makes
            them.
        beams: As for `fdl.models.beam_search`.
        alpha: As for `fdl.models.beam_search`.
        length: Most letters or words in an answer; None for those of the longest
            training target.
        alignments: Whether to return what each word attended to.

    Raises:
        ValueError: If a number is out of range, or alignments are requested from a
            model without attention.
    """
    info = trained.info
    if alignments and not hasattr(trained.model, "alignment"):
        raise ValueError(
            f"task {trained.config.task!r} has no attention, so no alignments: train "
            "attention or translator."
        )
    search = functools.partial(
        beam_search,
        trained.model,
        trained.variables,
        length=info.target_length if length is None else length + 1,  # the end token
        beams=beams,
        alpha=alpha,
        alignments=alignments,
    )
    found = in_batches(search, source, max(1, _AT_A_TIME // beams))
    best = jax.tree.map(lambda x: x[:, 0], found)
    best.token[~best.finished, -1] = PAD  # this place can only hold an end token
    sources, answers = source_texts(info, source), target_texts(info, best.token)
    made = []
    for row, (text, answer) in enumerate(zip(sources, answers, strict=True)):
        seen = None
        if alignments:
            from fdl.report import Alignment  # matplotlib takes half a second

            read = units_of(info.vocabulary, source[row])
            said = units_of(info.class_names, best.token[row])
            weights = best.weights[row, : len(said), : len(read)]
            seen = Alignment(read, said, weights)
        score, finished = float(best.score[row]), bool(best.finished[row])
        made.append(Translation(text, answer, score, finished, seen))
    return made


def units_of(vocabulary: Sequence[str], tokens: np.ndarray) -> list[str]:
    """Return the words or letters of tokens, without padding.

    Example:
        >>> units_of(("<pad>", "<s>", "</s>", "<unk>", "a"), np.array([4, 2, 0]))
        ['a', '</s>']
    """
    return [vocabulary[int(token)] for token in tokens if token != PAD]


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Measure the answers of greedy search, and draw their errors.

    Writes `answers.tsv`, `errors_by_length.png` and `confusions.png`; for models with
    attention `alignments.png`; for words `bleu.json`, if sacreBLEU is installed. A
    source with several right answers counts once, with the closest of them. The
    baseline, on the first 1,000 sources, is the answer to the most similar training
    source.
    """
    from fdl import report  # imports matplotlib, which takes half a second
    from fdl.tasks.nearest import nearest_rows  # imports scipy

    info, name = trained.info, title_of(trained)
    source, right = _by_source(dataset)
    answers = target_texts(info, predict(trained.learner, trained.state, source))
    split = functools.partial(split_text, unit=info.units[1])
    said = [split(answer) for answer in answers]
    wanted = [[split(text) for text in some] for some in right]
    found = metrics.edits(said, wanted)
    train = dataset.train
    rows = nearest_rows(np.asarray(train.source), source[:_COMPARED])
    nearest = target_texts(info, np.asarray(train.target)[rows])
    baseline = metrics.edits(list(map(split, nearest)), wanted[:_COMPARED])

    header = "\t".join((*info.columns, "right"))
    told = zip(source_texts(info, source), answers, map(" | ".join, right), strict=True)
    lines = [header, *map("\t".join, told), ""]
    write_whole(folder / "answers.tsv", "\n".join(lines).encode())
    wrong = np.array([a not in some for a, some in zip(answers, right, strict=True)])
    report.draw_errors_by_length(
        folder / "errors_by_length",
        wrong.astype(float),
        np.sum(source != PAD, axis=-1),
        title=f"{name}: {wrong.mean():.1%} of {len(source):,} test sources wrong",
    )
    report.draw_commonest(
        folder / "confusions",
        _confused(said, wanted),
        f"{name}: commonest of {found.edits:,} edits",
    )
    if hasattr(trained.model, "alignment"):
        shown = translate(trained, source[:_SHOWN], alignments=True)
        report.draw_alignments(
            folder / "alignments",
            [one.alignment for one in shown],
            title=f"{name}: source across, answer down",
        )
    measured = {
        "exact_match": found.exact_match,
        "error_rate": found.error_rate,
        "baseline_exact_match": baseline.exact_match,
        "baseline_error_rate": baseline.error_rate,
    }
    if info.units[1] == "words" and importlib.util.find_spec("sacrebleu"):
        measured |= _bleu(answers, right, folder)
    return measured


def _by_source(dataset: Dataset) -> tuple[np.ndarray, list[list[str]]]:
    """Return each test source once, in order, and all its right answers."""
    source, texts = np.asarray(dataset.test.source), dataset.references
    if texts is None:  # the validation set, where an unknown word counts as wrong
        texts = target_texts(dataset.info, dataset.test.target, unknown="\ufffd")
    right: dict[bytes | int, list[str]] = {}
    first: list[int] = []
    for row, text in enumerate(texts):
        # Sources with unknown words may differ although their tokens are equal.
        key = row if UNKNOWN in source[row] else source[row].tobytes()
        if key not in right:
            first.append(row)
        right.setdefault(key, []).append(str(text))
    return source[first], list(right.values())


def _confused(answers: list[list[str]], right: list[list[list[str]]]) -> Counter:
    """Count the edits that correct the answers, as pairs of answered and right.

    Example:
        >>> _confused([["K", "AE", "T"]], [[["K", "AH", "T", "S"]]])
        Counter({('AE', 'AH'): 1, (None, 'S'): 1})
    """
    counts: Counter = Counter()
    for answer, some in zip(answers, right, strict=True):
        if answer in some:
            continue
        nearest = min(some, key=lambda one: metrics.edit_distance(answer, one))
        pairs = metrics.alignment(answer, nearest)
        counts.update((a, b) for a, b in pairs if a != b)
    return counts


def _bleu(answers: list[str], right: list[list[str]], folder: Path) -> dict[str, float]:
    """Return the BLEU (Papineni et al., 2002) of answers; write `bleu.json`.

    With sacreBLEU (Post, 2018, arXiv:1804.08771); its signature says how it counts.
    """
    from sacrebleu.metrics.bleu import BLEU

    most = max(map(len, right))
    # sacreBLEU needs equally many references; repeating one changes nothing.
    columns = [[some[min(n, len(some) - 1)] for some in right] for n in range(most)]
    bleu = BLEU()
    score = float(bleu.corpus_score(answers, columns).score)
    said = {"bleu": score, "signature": str(bleu.get_signature())}
    write_whole(folder / "bleu.json", json_text(said).encode())
    return {"bleu": score}


def _parts(trained: Trained) -> dict[str, ExportedModel]:
    """Return the model with one source and one input of the decoder."""
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
