"""Beam search finds the same as an exhaustive search, with its scores."""

import functools
import itertools
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import closeness
from fdl import models, nn
from fdl.models import beam_search
from zoo import draw_variables

PAD, START, END, A, B = range(5)
SOURCE = np.array([[3, 4, 4, END], [4, END, PAD, PAD]], np.int32)
MODEL = models.Transformer(
    5,
    nn.TransformerEncoder(1, 2),
    nn.TransformerDecoder(2, 2),
    features=8,
    pad_token=PAD,
)
VARIABLES = draw_variables(MODEL, SOURCE, SOURCE, seed=1)


APPLY = jax.jit(MODEL.apply)
SEE = jax.jit(functools.partial(MODEL.apply, mutable="intermediates"))


def log_probabilities(variables: Any, source: np.ndarray, target: Any) -> np.ndarray:
    """Return the log-probabilities after each prefix of a target, without a cache."""
    read = np.full((1, 9), PAD, np.int32)  # no token attends to later ones
    read[0, : len(target) + 1] = START, *target
    logits = np.array(APPLY(variables, source[None], read))[0, : len(target) + 1]
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def total(variables: Any, source: np.ndarray, target: Any) -> float:
    logs = log_probabilities(variables, source, target)
    return sum(float(logs[at, token]) for at, token in enumerate(target))


def penalty(length: int, alpha: float) -> float:
    return ((5 + length) / 6) ** alpha


def all_targets(length: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return all finished targets of up to `length` tokens, and all unfinished ones."""
    words = lambda count: itertools.product((A, B), repeat=count)
    finished = [(*x, END) for count in range(length) for x in words(count)]
    return finished, list(words(length))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_enough_beams_search_exhaustively(alpha: float) -> None:
    finished, unfinished = all_targets(3)
    beams = len(finished) + len(unfinished)
    found = beam_search(MODEL, VARIABLES, SOURCE, 3, beams=beams, alpha=alpha)
    for row in range(2):
        score = lambda x, row=row: (
            total(VARIABLES, SOURCE[row], x) / penalty(len(x), alpha)
        )
        ranked = [
            *sorted(finished, key=score, reverse=True),
            *sorted(unfinished, key=score, reverse=True),
        ]
        assert [
            tuple(token[:length])
            for token, length in zip(found.token[row], found.length[row], strict=True)
        ] == ranked
        closeness.close(found.score[row], np.array([score(x) for x in ranked]), 1e-5)
        assert found.finished[row].tolist() == [True] * 7 + [False] * 8


def test_one_beam_is_greedy() -> None:
    source = np.random.default_rng(0).integers(3, 5, (6, 4)).astype(np.int32)
    for alpha in (0.0, 0.6, 3.0):
        found = beam_search(MODEL, VARIABLES, source, 8, beams=1, alpha=alpha)
        for row in range(6):
            target: list[int] = []
            while len(target) < 8 and END not in target:
                logs = log_probabilities(VARIABLES, source[row], target)[-1]
                logs[[PAD, START]] = -np.inf
                target.append(int(np.argmax(logs)))
            assert found.token[row, 0].tolist() == target + [PAD] * (8 - len(target))


def test_sources_may_be_constants_in_a_traced_function() -> None:
    search = lambda variables: beam_search(MODEL, variables, jnp.asarray(SOURCE), 3)
    assert jax.eval_shape(search, VARIABLES).token.shape == (2, 5, 3)


def test_scores_and_alignments_equal_those_of_the_whole_target() -> None:
    # This fails if a hypothesis gets the cache of another.
    found = beam_search(MODEL, VARIABLES, SOURCE[None], 6, beams=6, alignments=True)
    assert found.token.shape == (1, 2, 6, 6)
    found = jax.tree.map(lambda x: np.array(x[0]), found)
    assert found.weights is not None
    for row, beam in itertools.product(range(2), range(6)):
        length = int(found.length[row, beam])
        target = found.token[row, beam, :length].tolist()
        score = total(VARIABLES, SOURCE[row], target) / penalty(length, 0.6)
        closeness.close(found.score[row, beam], np.float32(score), 1e-5)
        read = np.array([[START, *found.token[row, beam, :-1]]])
        _, seen = SEE(VARIABLES, SOURCE[row : row + 1], read)
        weights = np.array(MODEL.alignment(seen["intermediates"]))[0, :length]
        closeness.close(found.weights[row, beam, :length], weights, 1e-5)
        closeness.close(weights.sum(-1), np.ones(length), 1e-5)
        assert not np.any(found.weights[row, beam, length:])


def test_a_row_does_not_depend_on_the_rest_of_the_batch() -> None:
    options = {"beams": 6, "alignments": True}  # compiled in the test above
    both = beam_search(MODEL, VARIABLES, SOURCE[None], 6, **options)
    for row in range(2):
        twice = beam_search(MODEL, VARIABLES, SOURCE[None, [row, row]], 6, **options)
        for copy in range(2):
            assert twice.token[0, copy].tolist() == both.token[0, row].tolist()
            closeness.close(twice.score[0, copy], both.score[0, row], 1e-5)


class Chain(linen.Module):
    """A translator whose next token depends only on the last one."""

    probabilities: tuple[tuple[float, ...], ...]
    vocab_size: int = 5

    def start(self, source: Any, length: int) -> Any:
        return jnp.zeros(source.shape[:-1])

    def decode(self, token: Any, cache: Any) -> Any:
        return jnp.log(jnp.array(self.probabilities))[token], cache


def search(after: dict[int, dict[int, float]], length: int, **options: Any) -> Any:
    """Search in a chain, given the probabilities of the token after each token."""
    probabilities = tuple(
        tuple(after.get(token, {END: 1.0}).get(other, 0.0) for other in range(5))
        for token in range(5)
    )
    return beam_search(Chain(probabilities), {}, SOURCE[0], length, **options)


def test_the_search_continues_while_a_longer_target_may_be_better() -> None:
    # The two best targets of the first steps end long before the best target.
    after = {START: {END: 0.3, A: 0.4, B: 0.3}, B: {END: 1.0}, A: {A: 0.95, END: 0.05}}
    found = search(after, 12, beams=2, alpha=3.0)
    assert found.length[0] == 12
    assert found.token[0].tolist() == [A] * 11 + [END]
    assert search(after, 12, beams=2, alpha=0.0).length.tolist() == [1, 2]


def test_finished_targets_take_no_beam_from_unfinished_ones() -> None:
    after = {START: {END: 0.5, A: 0.3, B: 0.2}, B: {B: 0.95, END: 0.05}}
    found = search(after, 12, beams=2, alpha=3.0)
    assert found.token[0].tolist() == [B] * 11 + [END]


def test_unfinished_targets_come_after_finished_ones() -> None:
    after = {token: {A: 0.999, END: 0.001} for token in (START, A)}
    found = search(after, 3, beams=4)
    assert found.finished.tolist() == [True, True, True, False]
    assert found.token[3].tolist() == [A, A, A]
    assert found.score[3] > found.score[0]


def test_padding_and_the_start_are_never_chosen() -> None:
    after = {START: {PAD: 0.5, START: 0.4, A: 0.1}, A: {START: 0.9, END: 0.1}}
    found = search(after, 4, beams=2)
    assert found.token[0].tolist() == [A, END, PAD, PAD]


def test_there_may_be_fewer_targets_than_beams() -> None:
    found = search({START: {A: 0.6, END: 0.4}}, 1, beams=9)
    assert found.length.tolist() == [1, 1, *[0] * 7]
    assert found.token[:, 0].tolist() == [END, A, *[PAD] * 7]
    assert found.finished.tolist() == [True, *[False] * 8]
    assert np.isneginf(found.score[2:]).all()


ONES = [draw_variables(MODEL, SOURCE, SOURCE, seed=seed) for seed in range(3)]
MEMBERS = jax.tree.map(lambda *each: jnp.stack(each), *ONES)


def test_an_ensemble_averages_probabilities_at_each_step() -> None:
    finished, _ = all_targets(3)
    found = beam_search(
        MODEL, MEMBERS, SOURCE, 3, beams=15, ensemble=True, alignments=True
    )

    def score(target: tuple[int, ...]) -> float:
        logs = [log_probabilities(one, SOURCE[0], target) for one in ONES]
        mean = np.exp(logs).mean(0)
        steps = [mean[at, token] for at, token in enumerate(target)]
        return float(np.log(steps).sum()) / penalty(len(target), 0.6)

    ranked = sorted(finished, key=score, reverse=True)
    tokens = zip(found.token[0], found.length[0], strict=True)
    assert [tuple(token[:length]) for token, length in tokens][:7] == ranked
    closeness.close(found.score[0, :7], np.array([score(x) for x in ranked]), 1e-5)
    assert found.weights is not None
    closeness.close(found.weights[0, 0, 0].sum(), np.float32(1), 1e-5)


WORDS = np.array([[3, 8, 6], [7, 4, PAD], [5, PAD, PAD]], np.int32)
SIZES = {"hidden_size": 4, "features": 3}


def drawn(model: Any, seed: int, output: str) -> Any:
    """Draw variables with distinct scores of targets, which end late."""
    variables = draw_variables(model, WORDS, WORDS, seed=seed)
    variables = jax.tree.map(lambda x: 4 * x, variables)
    functools.reduce(dict.get, output.split("/"), variables["params"])["bias"][END] -= 3
    return variables


def check(logs: Any, found: models.Hypotheses) -> None:
    """Check the scores of hypotheses against the log-probabilities of their tokens."""
    chosen = np.take_along_axis(np.array(logs), found.token[..., None], -1)
    real = np.arange(found.token.shape[-1]) < found.length[..., None]
    scores = np.where(real, chosen[..., 0], 0).sum(-1) / penalty(found.length, 0.6)
    assert found.length.max() == 5  # parents matter from the third token on
    closeness.close(found.score, np.float32(scores), 1e-5)


def read(found: models.Hypotheses) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and inputs of the decoder for each target that was found."""
    source = np.broadcast_to(WORDS[:, None], (*found.token.shape[:2], WORDS.shape[1]))
    start = np.full_like(found.token[..., :1], START)
    return source, np.concatenate([start, found.token[..., :-1]], axis=-1)


def test_recurrent_states_follow_their_hypotheses() -> None:
    model = models.EncoderDecoder(5, 9, num_layers=2, **SIZES)
    ones = [drawn(model, seed, "output") for seed in range(2)]
    members = jax.tree.map(lambda *each: jnp.stack(each), *ones)
    search = lambda variables: beam_search(model, variables, WORDS, 5, beams=4)
    each, apply = jax.vmap(search)(members), jax.jit(model.apply)
    for member, variables in enumerate(ones):
        found = jax.tree.map(lambda x, member=member: np.array(x[member]), each)
        assert found.token.tolist() == search(variables).token.tolist()
        check(jax.nn.log_softmax(apply(variables, *read(found))), found)


def test_an_ensemble_averages_alignments() -> None:
    model = models.AttentionEncoderDecoder(5, 9, attention_size=5, **SIZES)
    ones = [drawn(model, seed, "output/head") for seed in range(2)]
    members = jax.tree.map(lambda *each: jnp.stack(each), *ones)
    found = beam_search(
        model, members, WORDS, 5, beams=4, ensemble=True, alignments=True
    )
    found = jax.tree.map(np.array, found)
    look = functools.partial(model.apply, mutable="intermediates")
    logits, seen = jax.jit(jax.vmap(look, (0, None, None)))(members, *read(found))
    check(np.log(jax.nn.softmax(logits).mean(0)), found)
    weights = jax.vmap(model.alignment)(seen["intermediates"]).mean(0)
    real = np.arange(5) < found.length[..., None]
    closeness.close(found.weights, np.where(real[..., None], weights, 0), 1e-5)
    assert np.all(np.where(WORDS == PAD, found.weights[:, 0, 0], 0) == 0)


def test_sources_are_checked_against_their_own_vocabulary() -> None:
    model = models.EncoderDecoder(5, 9, **SIZES)
    with pytest.raises(ValueError, match=r"token 9, .* source_vocab_size is 9"):
        beam_search(model, {}, WORDS + 1, 5)


def test_a_single_member_is_refused_as_an_ensemble() -> None:
    with pytest.raises(ValueError, match="stacked on a new first axis"):
        beam_search(MODEL, VARIABLES, SOURCE, 3, ensemble=True)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (SOURCE, {"beams": 0}, "beams=0 must be"),
        (SOURCE, {"length": 0}, "length=0 must be"),
        (SOURCE, {"alpha": -1.0}, "alpha=-1.0 must be"),
        (SOURCE[:, :0], {}, "pass at least one source with at least one token"),
        (SOURCE * 0, {}, "a source contains only padding"),
        (SOURCE + 1, {}, "source contains the token 5, .* from 0 to 4"),
        (SOURCE - 1, {}, "source contains the token -1, .* from 0 to 4"),
        (SOURCE, {"end_token": 5}, "end_token=5 must be from 0 to 4"),
        (SOURCE, {"end_token": 1}, "must be three different tokens"),
    ],
)
def test_invalid_arguments_are_refused(
    source: np.ndarray, options: dict[str, Any], message: str
) -> None:
    options = {"length": 3, **options}
    with pytest.raises(ValueError, match=message):
        beam_search(MODEL, VARIABLES, source, **options)
