"""The three sequence-to-sequence tasks: models, buckets, metrics, refusals."""

import dataclasses

import jax
import numpy as np
import pytest

import fdl
from fdl import tasks
from fdl.arrays import Buckets, Pairs
from fdl.runs import configure
from fdl.runs.job import bucketed
from fdl.tasks.nearest import nearest_rows
from fdl.tasks.translation import translate

WORDS = ["ab", "abc", "cab", "bca", "b", "accab"] * 60


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    file = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    file.write_text(
        "".join(f"{w}{i}\t{w[::-1]}\n" for i, w in enumerate(WORDS)), "utf-8"
    )
    return f"tsv:{file}?units=letters"


def outlined(data, name, **settings):
    config = configure(name, **{"dataset": data, "batch_size": 12, **settings})
    dataset = tasks.load(tasks.find(name), config)
    return tasks.outline(tasks.find(name), config, dataset.info), dataset


@pytest.mark.parametrize(
    ("name", "settings", "layers"),
    [
        ("seq2seq", {"num_layers": 2}, {"encoder", "decoder"}),
        ("seq2seq", {"cell": "gru", "context": "every"}, set()),
        ("attention", {"attention_size": 8}, {"query", "keys"}),
        ("translator", {"norm": "post", "num_layers": 1}, {"encoder", "decoder"}),
    ],
)
def test_each_task_trains_and_decodes(data, name, settings, layers) -> None:
    trained, dataset = outlined(data, name, label_smoothing=0.1, **settings)
    batch = jax.tree.map(lambda x: x[:4], dataset.train)
    state, measured = jax.eval_shape(trained.learner.step, trained.state, batch)
    assert set(measured) == {"loss", "accuracy", "exact_match", "perplexity"}
    assert layers <= set(state.params)
    answers = jax.eval_shape(trained.learner.predict, trained.state, batch.source)
    assert answers.shape == (4, dataset.info.target_length)


def test_several_buckets_need_enough_batches(data) -> None:
    trained, dataset = outlined(data, "seq2seq", batch_size=1)
    train, validation = bucketed(tasks.find("seq2seq"), dataset, trained.config)
    assert isinstance(train, Buckets)
    assert isinstance(validation, Buckets)
    sizes = [len(part.source) for part in train.parts]
    assert len(sizes) == 2
    assert sum(sizes) == dataset.info.train_count
    large = dataclasses.replace(trained.config, batch_size=2)
    one, _ = bucketed(tasks.find("seq2seq"), dataset, large)
    assert len(one.parts) == 1


def test_incomplete_batches_move_to_longer_buckets() -> None:
    source = np.tril(np.full((25, 25), 5))[[*range(25)] * 4]
    pairs = Pairs(source, np.full((100, 1), 2))
    found = fdl.data.bucketed(pairs, 4, batch_size=8)
    sizes = [len(part.source) for part in found.parts]
    assert sum(sizes) == 100
    assert all(size % 8 == 0 for size in sizes[:-1])
    lengths = np.concatenate([(part.source > 0).sum(axis=1) for part in found.parts])
    assert sorted(lengths) == sorted((source > 0).sum(axis=1))


def test_the_nearest_source_shares_rare_bigrams() -> None:
    # Two of them end with a 4, but only one begins with it.
    known = np.array([[6, 4, 4], [6, 4, 5], [4, 4, 5], [5, 5, 4]])
    assert nearest_rows(known, np.array([[4, 4, 4]])).tolist() == [2]


def test_an_unknown_word_counts_as_wrong(tmp_path, monkeypatch) -> None:
    lines = [f"w{i % 7} v{i}\tz{i} x{i}\nw{i % 7} u{i}\tyes yes" for i in range(40)]
    (tmp_path / "a.tsv").write_text("\n".join(lines), "utf-8")
    trained, dataset = outlined(f"tsv:{tmp_path / 'a.tsv'}", "seq2seq")
    targets = np.array([[3, 3, 2]] * 8)
    validation = dataset._replace(
        test=Pairs(dataset.train.source[:8], targets), references=None
    )
    answered = lambda learner, state, source: targets[: len(source)]
    monkeypatch.setattr("fdl.tasks.translation.predict", answered)
    measured = tasks.find("seq2seq").finish(trained, validation, tmp_path)
    assert (measured["exact_match"], measured["error_rate"]) == (0, 1)


def test_alignments_need_attention(data) -> None:
    trained, _ = outlined(data, "seq2seq")
    with pytest.raises(ValueError, match="no attention, so no alignments"):
        translate(trained, np.array([[4, 5]]), alignments=True)
