"""Checks, one function each, that need two processes of two devices.

Each process runs all of them in order, and prints the error of each, as JSON. Its
arguments are the address of the first process, its own index, and a path for a run.
"""

import functools
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest

from fdl import processes

COUNT = 2
DEVICES = 2  # of each process
CHECKS = {}
BATCH = 16  # the last batch, of 5, cannot be divided by four devices


def check(function):
    CHECKS[function.__name__] = function
    return function


def settings(**changed):
    """Return the settings of a run, all of whose batches have the same size."""
    given = {"dataset": "mnist-5k", "validation": 0.2, "epochs": 3, "batch_size": 400}
    return {**given, **changed}


def measured(**options):
    """Return the losses of all updates in double precision, and the result of `fit`."""
    import jax
    import optax

    import fdl

    rng = np.random.default_rng(0)
    images = rng.random((3 * BATCH + 5, 8, 8, 1))
    data = fdl.Batch(images, rng.integers(0, 10, len(images)))
    model = fdl.models.MLP(10, hidden_sizes=(32,), dropout_rate=0.2)
    learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.adam(1e-2))
    state = jax.tree.map(
        lambda x: x.astype(float) if x.dtype == np.float32 else x,
        learner.init(jax.random.key(0), jax.tree.map(lambda x: x[:1], data)),
    )
    losses = []
    on_chunk = lambda step, metrics, state: losses.append(metrics["loss"])
    options |= {"epochs": 2, "batch_size": BATCH, "key": 0, "state": state}
    options |= {"validation_data": data, "steps_per_chunk": 1, "on_chunk": on_chunk}
    return losses, fdl.fit(learner, data, **options)


@functools.cache
def mesh():
    import jax

    return jax.make_mesh((jax.device_count(),), ("data",))


@check
def all_devices_are_seen():
    import jax

    assert (processes.count(), jax.device_count()) == (COUNT, DEVICES * COUNT)
    assert processes.is_first() == (INDEX == 0)


@check
def processes_exchange_texts_in_order():
    for _ in range(3):
        assert processes.exchange(f"{INDEX}") == ["0", "1"]
    assert processes.first_says(f"{INDEX}") == "0"
    assert processes.any_says(INDEX == 1)
    assert not processes.any_says(False)


@check
def differences_are_named_in_all_processes():
    about = {"epochs": 3, "data": {"checksum": "a", "name": "b"}}
    processes.require_same(about)
    about["data"]["checksum"] = "ac"[INDEX]
    with pytest.raises(
        processes.ProcessError, match=r'process 1 has data.checksum "c"'
    ):
        processes.require_same(about)


@check
def runs_of_other_settings_are_refused():
    import fdl.runs

    path = Path(RUN).with_name(f"refused-{INDEX}")
    with pytest.raises(ValueError, match="process 1 has epochs 2, and process 0 has 1"):
        fdl.runs.train("mlp", path=path, **settings(epochs=1 + INDEX))
    assert not path.exists()


@check
def fit_equals_fit_on_one_device():
    import jax

    from fdl.train.placement import whole_here

    with jax.enable_x64(True):
        wanted, alone = measured()
        for shard in ("batch", "batch+state"):
            found, run = measured(mesh=mesh(), shard=shard)
            assert np.isfinite(found).all(), found
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
            assert run.history[-1].validation == pytest.approx(
                alone.history[-1].validation, rel=1e-12
            )
    spread = jax.tree.leaves(run.state.params)
    assert not spread[0].is_fully_addressable
    for one, other in zip(spread, jax.tree.leaves(alone.state.params), strict=True):
        np.testing.assert_allclose(whole_here(one), other, atol=1e-10)


@check
def processes_make_equally_many_updates_whatever_their_clocks():
    import optax

    import fdl
    from fdl.train import loop, steps

    rng = np.random.default_rng(0)
    data = fdl.Batch(rng.random((400, 4, 4, 1)), rng.integers(0, 10, 400))
    model = fdl.models.MLP(10, hidden_sizes=())
    learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.sgd(0.1))
    options = {"epochs": 4, "batch_size": 8, "key": 0, "mesh": mesh()}
    seen, clock = [], time.perf_counter
    faster = SimpleNamespace(perf_counter=lambda: (1 + 4 * INDEX) * clock())
    on_part = lambda state, sums: seen.append(int(state.step))
    with patch.object(loop, "_PAUSE", 0.5), patch.object(steps, "time", faster):
        fdl.fit(learner, data, on_part=on_part, **options)
    assert len(seen) > 3
    assert len(set(processes.exchange(json.dumps(seen)))) == 1


@check
def only_process_0_writes_a_run_and_calls_loggers():
    import fdl.runs

    class Recorder:
        def start(self, path, config):
            calls.append("start")

        def epoch(self, line, state, pictures):
            calls.append("epoch")

        def end(self, result, pictures):
            calls.append("end")

    calls, written = [], []
    path = Path(RUN).with_name("whole")
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def note(event, args):
        if event in ("os.mkdir", "os.rename") or (
            event == "open" and args[2] & writing
        ):
            if str(args[0]).startswith(str(path)):
                written.append(f"{event} {args[0]}")

    sys.addaudithook(note)
    run = fdl.runs.train("mlp", path=path, loggers=[Recorder()], **settings(epochs=1))
    assert (path / "result.json").is_file()
    assert calls == (["start", "epoch", "end"] if INDEX == 0 else [])
    assert bool(written) == (INDEX == 0), written
    assert len({*processes.exchange(json.dumps(run.result))}) == 1


@check
def a_signal_to_one_process_stops_all():
    import fdl.runs

    def on_epoch(line, state):
        assert all(x.is_fully_addressable for x in [state.step, state.key])
        if INDEX == 1:
            signal.raise_signal(signal.SIGTERM)

    with fdl.runs.stop_on_signals() as received:
        with pytest.raises(fdl.runs.Interrupted, match=f"resume {RUN}"):
            fdl.runs.train("mlp", path=RUN, on_epoch=on_epoch, **settings())
        assert received.number == (signal.SIGTERM if INDEX == 1 else None)
        received.number = None
    assert processes.exchange("") == ["", ""]


def main() -> None:
    found = {}
    processes._ENDS_IN = 1
    with processes.joined(ADDRESS, COUNT, INDEX):
        import jax

        jax.config.update("jax_numpy_rank_promotion", "raise")
        for name, function in CHECKS.items():
            found[name] = None
            try:
                function()
            except Exception:
                found[name] = traceback.format_exc()
                break  # the processes may be out of step now
        print(json.dumps(found))
        if INDEX == 1:
            raise ValueError("the disk is full")
        time.sleep(60)  # as in compiled code


if __name__ == "__main__":
    ADDRESS, INDEX, RUN = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    main()
