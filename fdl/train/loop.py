"""The training loop: compiled programs of many steps, epoch by epoch."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from fdl.arrays import Key, Keys, PyTree
from fdl.learner import Learner, State, require_state
from fdl.metrics import Metrics, compute
from fdl.programs import program
from fdl.ranges import require_whole
from fdl.train import stopping
from fdl.train.evaluate import EXAMPLES, Measured, checked, measure, warm_up
from fdl.train.feed import STREAM_BYTES, Fed, Feed
from fdl.train.parts import (
    Fetched,
    Followed,
    check_part,
    fetched,
    first_of,
    look_at,
    moved,
    num_examples,
    parts,
)
from fdl.train.placement import Placement
from fdl.train.results import DivergenceError, Epoch, FitResult
from fdl.train.start import (
    require_countable,
    require_history,
    require_state_of,
    steps_done,
)
from fdl.train.steps import (
    Programs,
    Run,
    choose,
    chunks,
    copy,
    draw_order,
    key_words,
    paced,
    schedule,
    upto,
)
from fdl.train.stopping import Best, EarlyStopping, require_stopping

# Seconds until training can be stopped: clusters kill a process half a minute after the
# signal.
_PAUSE = 2.0


class Loop(NamedTuple):
    """Training on checked data, which are on the device or to be fetched.

    Attributes:
        data: The parts of the training data.
        batch_size: Examples per update.
        shuffle_key: Random key of the order of the data alone, or None.
        validation_data: Examples to evaluate on, or None.
        early_stopping: When to stop, or None.
        members: Shape of the learner's members: () or (n,).
        one: The first training example, as a batch.
        placement: Where data and state are.
        stream_bytes: Memory for prefetched examples, in bytes.
    """

    data: tuple[PyTree, ...]
    batch_size: int
    shuffle_key: Key | None
    validation_data: PyTree | None
    early_stopping: EarlyStopping | None
    members: tuple[int, ...]
    one: PyTree
    placement: Placement = Placement()
    stream_bytes: int = STREAM_BYTES

    @classmethod
    def prepare(
        cls,
        learner: Learner,
        data: PyTree,
        *,
        key: Key | Keys,
        batch_size: int,
        shuffle_key: Key | None,
        validation_data: PyTree | None,
        early_stopping: EarlyStopping | None,
        placement: Placement = Placement(),  # noqa: B008 - a value
        stream_bytes: int = STREAM_BYTES,
    ) -> "Loop":
        """Check the data and the options, and move the data.

        Raises:
            DataError: If the data are invalid or unsuitable for the learner.
            ValueError: If an option is invalid.
        """
        require_whole("[1, inf)", batch_size=batch_size, stream_bytes=stream_bytes)
        placement.require_divisible(batch_size)
        data = fetched(data, batch_size)
        size = batch_size if len(parts(data)) == 1 else None
        for part in parts(data):
            check_part(part, batch_size=size)
        one = first_of(parts(data)[0])  # on the host, so nothing is compiled for it
        shapes = program(learner.init).eval_shape(key, one)
        for part in parts(data):
            look_at(part, functools.partial(learner.check, shapes))
        data = moved(data, placement)
        if validation_data is not None:
            validation_data = checked(learner, shapes, validation_data)
        if early_stopping is not None:
            require_stopping(early_stopping)
            measured = None
            if validation_data is not None:
                first = first_of(parts(validation_data)[0])
                measured = program(learner.evaluate).eval_shape(shapes, first)
            early_stopping.check(measured)
        if validation_data is not None:
            validation_data = moved(validation_data, placement)
        return cls(
            parts(data),
            batch_size,
            shuffle_key,
            validation_data,
            early_stopping,
            shapes.step.shape,
            one,
            placement,
            stream_bytes,
        )

    def run(
        self,
        learner: Learner,
        key: Key | Keys,
        state: State | None,
        *,
        epochs: int,
        history: Sequence[Epoch] = (),
        best: State | None = None,
        sums: Metrics | None = None,
        steps_per_chunk: int | None = None,
        on_chunk: Callable[[int, Measured, State], Any] | None = None,
        on_part: Callable[[State, Metrics], Any] | None = None,
        on_epoch: Callable[[Epoch, State], Any] | None = None,
    ) -> FitResult:
        """Train; `fit` describes the arguments."""
        require_countable(epochs, self.steps_per_epoch)
        started = time.perf_counter()
        measured_by = self.placement.divisible(EXAMPLES)
        programs = Programs(learner.step)
        now, words = self._start(learner, key, state)
        now = self.placement.state(now)
        feed = self._feed(words, steps_per_chunk)
        now = self._compile(programs, feed, now, words)
        if self.validation_data is not None:
            warm_up(learner, now, self.validation_data, batch_size=measured_by)
        now = jax.block_until_ready(now)
        seconds = {"compile": time.perf_counter() - started}
        seconds |= {"train": 0.0, "validation": 0.0}

        one_run, lines = not self.members, list(history)
        running, diverged = np.full(self.members, True), np.full(self.members, -1)
        first = (
            lines[0].epoch - 1
            if lines
            else steps_done(now, running) // self.steps_per_epoch
        )
        stands_at = np.full(self.members, first)
        stop, found = self.early_stopping, None
        start = now
        if stop is not None:
            start = self.placement.state(copy(now if best is None else best))
            found = stopping.nothing_yet(start, first)
        for line in lines:
            running = np.asarray(running & line.running)
            diverged = np.maximum(diverged, line.diverged)
            stands_at = np.where(line.running, line.epoch, stands_at)
            if found is not None:
                found, running = self._note(found, line, start, running)
        # Members that have stopped or diverged stay behind.
        step = steps_done(now, running) if running.any() else lines[-1].step
        done = step // self.steps_per_epoch
        require_history(lines, done, epochs, self.steps_per_epoch)
        for part in self.data:
            if isinstance(part, Followed):
                part.begin(step, anew=state is None)
        if sums is not None and step == done * self.steps_per_epoch:
            raise ValueError(
                "sums cover a part of an epoch, but state is between epochs: leave "
                "sums out."
            )
        for epoch in range(done, epochs):
            if not running.any():
                break
            started = time.perf_counter()
            before = copy(now)  # to roll members back that diverge
            orders = self._orders(words, epoch)
            totals, bad = self._zeros(programs, orders, now), np.full(self.members, -1)
            ends = (epoch + 1) * self.steps_per_epoch
            if sums is not None and epoch == done:
                totals = self.placement.sums(copy(sums))
            left = list(
                chunks(
                    schedule(self._counts, self.batch_size, epoch),
                    step - epoch * self.steps_per_epoch,
                    steps_per_chunk or self.steps_per_epoch,
                )
            )
            pause = None if on_part is None else _PAUSE
            with feed.opened(orders, left) as give:
                for run, reports in paced(
                    left, pause, feed.most, is_shared=self.placement.is_shared
                ):
                    now, totals, worst = self._steps(
                        programs, give(run), run, now, totals
                    )
                    bad = np.where(bad < 0, worst, bad)
                    if one_run and bad >= 0:
                        break
                    step += run.steps
                    if reports and on_chunk is not None:
                        on_chunk(step, compute(totals), now)
                    if on_part is not None and step < ends:
                        on_part(now, totals)
            if one_run and bad >= 0:
                good = self._before(programs, feed, before, orders, epoch, int(bad))
                raise DivergenceError(int(bad), good, tuple(lines))
            diverged = np.where(running & (bad >= 0), bad, diverged)
            running = np.asarray(running & (bad < 0))
            if not running.all():
                now = choose(running, now, before)
            stands_at = np.where(running, epoch + 1, stands_at)
            train = compute(totals)
            trained = time.perf_counter()
            validation: Measured = {}
            if self.validation_data is not None:
                validation = measure(
                    learner, now, self.validation_data, batch_size=measured_by
                )
            ended = time.perf_counter()
            seconds["train"] += trained - started
            seconds["validation"] += ended - trained
            line = Epoch(
                epoch + 1,
                step,
                True if one_run else running,
                _where(running, train),
                _where(running, validation),
                ended - started,
                -1 if one_run else diverged,
            )
            lines.append(line)
            if found is not None:
                found, running = self._note(found, line, now, running)
            enough = None if on_epoch is None else on_epoch(line, now)
            if isinstance(enough, bool | np.bool_) and enough:
                break
        if stop is not None and found is not None and stop.restore_best:
            # There is no best epoch if the metric was NaN in all.
            measured = np.asarray(found.value > -np.inf)
            now = choose(measured, found.state, now)
            stands_at = np.where(measured, found.epoch, stands_at)
        if one_run:
            return FitResult(now, int(stands_at), -1, tuple(lines), seconds)
        return FitResult(now, stands_at, diverged, tuple(lines), seconds)

    def _note(
        self, best: Best, line: Epoch, state: State, running: Any
    ) -> tuple[Best, Any]:
        """Return the best epoch so far, and which members continue."""
        stop = self.early_stopping
        assert stop is not None
        value = line.validation[stop.monitor]
        return stopping.update(best, stop, line.epoch, value, state, running)

    def compiled(self, learner: Learner, key: Key | Keys) -> Any:
        """Return the compiled program of the training steps."""
        state, words = self._start(learner, key, None)
        state = self.placement.state(state)
        orders = self._orders(words, 0)
        programs = Programs(learner.step)
        zeros = self._zeros(programs, orders, state)
        run = Run(0, self._largest_batch, 0, 0)
        fed = self._feed(words, None).blank(run, orders)
        return programs.steps(run.size).lower(*fed, 0, state, zeros).compile()

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in a pass over the data."""
        return sum(-(-count // self.batch_size) for count in self._counts)

    @property
    def _counts(self) -> list[int]:
        return [num_examples(part) for part in self.data]

    def _start(
        self, learner: Learner, key: Key | Keys, state: State | None
    ) -> tuple[State, Any]:
        """Return the state to start from, and the key words that orders depend on."""
        keys = key
        if self.members and not key.ndim:
            keys = jax.random.split(key, self.members)
        shapes = {"key": keys.shape}
        if state is not None:
            require_state(state)
            shapes["state"] = state.step.shape
        for name, shape in shapes.items():
            if shape != self.members:
                raise ValueError(
                    f"{name} has {shape or 'no'} members, but the learner has "
                    f"{self.members or 'none'}."
                )
        init_keys, order_keys = _two_keys(keys)
        shuffle = order_keys if self.shuffle_key is None else self.shuffle_key
        words = key_words(shuffle)
        one = self.one
        if state is not None:
            require_state_of(learner, keys, one, state)
            # A copy, since programs take over its memory.
            return copy(state), words
        if learner.tune is not None:  # hyperparameters are arguments of the program
            draw = program(tune_and_init, learner.tune, once=True)
            return draw(learner.hparams, init_keys, one), words
        # For a single run, numbers in the optimizer's state would become constants of
        # the program, so `init` is not compiled.
        init = learner.init
        if self.members:
            init = program(learner.init, once=True)
        # A copy, since the state of some optimizers contains the parameters themselves,
        # and a program cannot take over the same memory twice.
        return copy(init(init_keys, one)), words

    def _feed(self, words: Any, steps_per_chunk: int | None) -> Feed:
        """Return the source of examples, in orders drawn from the words of a key."""
        return Feed.of(
            self.data,
            self.batch_size,
            words=words,
            steps=steps_per_chunk or self.steps_per_epoch,
            stream_bytes=self.stream_bytes,
            placement=self.placement,
        )

    def _compile(
        self, programs: Programs, feed: Feed, state: State, words: Any
    ) -> State:
        """Compile the programs of training by running them for zero steps."""
        orders = self._orders(words, 0)
        runs = schedule(self._counts, self.batch_size, 0)
        for run in {(run.part, run.size): run for run in runs}.values():
            fed, zeros = feed.blank(run, orders), self._zeros(programs, orders, state)
            run = run._replace(steps=0)
            state, *_ = self._steps(programs, fed, run, state, zeros)
        return state

    def _steps(
        self,
        programs: Programs,
        fed: Fed,
        run: Run,
        state: State,
        totals: Metrics,
    ) -> tuple[State, Metrics, Any]:
        return programs.steps(run.size)(*fed, run.steps, state, totals)

    @property
    def _largest_batch(self) -> int:
        return min(self.batch_size, self._counts[0])

    def _zeros(self, programs: Programs, orders: list[Any], state: State) -> Metrics:
        zeros = programs.zeros(self._largest_batch, self.one, orders[0], state)
        return self.placement.sums(zeros)

    def _orders(self, words: Any, epoch: int) -> list[Any]:
        return [
            part.order(words, epoch, number)
            if isinstance(part, Fetched)
            else draw_order(words, epoch, num_examples(part), number)
            for number, part in enumerate(self.data)
        ]

    def _before(
        self,
        programs: Programs,
        feed: Feed,
        start: State,
        orders: list[Any],
        epoch: int,
        bad: int,
    ) -> State:
        """Return the state before the update that diverged, by repeating the steps.

        A non-finite parameter may show one step late, in the next loss: then the state
        that gave this loss is bad, and the one before it is good.
        """
        if any(isinstance(part, Followed) for part in self.data):
            return start  # batches of an iterator cannot be repeated
        first = int(start.step)
        runs = schedule(self._counts, self.batch_size, epoch)
        made = first - epoch * self.steps_per_epoch
        state = start
        for left in (bad - first, bad - first - 1):
            state, good = copy(start), True
            again = list(upto(chunks(runs, made, max(1, left)), left))
            with feed.opened(orders, again) as give:
                for run, _ in paced(again, None, feed.most):
                    zeros = self._zeros(programs, orders, state)
                    state, _, found = self._steps(
                        programs, give(run), run, state, zeros
                    )
                    good = good and int(found) < 0
            if good:
                break
        return state


def tune_and_init(
    tune: Callable[[PyTree], Learner], hparams: PyTree, key: Key | Keys, one: PyTree
) -> State:
    """Return the first state of a tunable learner, by a program for any numbers."""
    return tune(hparams).init(key, one)


def _where(running: Bool[np.ndarray, "*members"], measured: Measured) -> Measured:
    if running.ndim == 0:
        return measured
    masked = {}
    for name, values in measured.items():
        values = np.asarray(values)
        axes = tuple(range(1, values.ndim))  # such as classes
        masked[name] = np.where(np.expand_dims(running, axes), values, np.nan)
    return masked


@jax.jit
def _two_keys(keys: Any) -> tuple[Any, Any]:
    split = jax.random.split if keys.ndim == 0 else jax.vmap(jax.random.split)
    pairs = split(keys)
    return pairs[..., 0], pairs[..., 1]
