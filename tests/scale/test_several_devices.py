"""Training on eight devices equals training on one; `eight_devices.py` checks it."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

import fdl
from bench.scaling import CASES
from fdl.sharding import ask_for, mesh_of, require_mesh, require_shard
from scale.eight_devices import CHECKS, COUNT

_SCRIPT = Path(__file__).parent / "eight_devices.py"
_TESTS = str(_SCRIPT.parents[1])


@pytest.fixture(scope="module")
def found():
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={COUNT}"
    ran = subprocess.run(
        [sys.executable, "-W", "error", _SCRIPT],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "XLA_FLAGS": flags,
            "PYTHONPATH": os.pathsep.join([_TESTS, os.environ.get("PYTHONPATH", "")]),
        },
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CHECKS)
def test_on_eight_devices(found, name):
    assert found[name] is None, found[name]


def test_unsuitable_meshes_are_refused():
    def refused(mesh, words, **options):
        with pytest.raises(ValueError, match=words):
            require_mesh(mesh, **options)

    refused(8, "mesh=8 is not a jax.sharding.Mesh")
    only = r"but may only have 'data': pass one such as jax.make_mesh\(\(4,\), \('d"
    refused(jax.make_mesh((1,), ("x",)), rf"has the axes \('x',\), {only}")
    refused(jax.make_mesh((1, 1), ("data", "members")), only)
    either = r"only have 'members' or 'data': .*\(\(2, 4\), \('members', 'data'\)\)"
    refused(jax.make_mesh((1,), ("x",)), either, axes=("members", "data"))
    unlike = np.array([_Device("cpu"), _Device("TPU v5")])
    refused(Mesh(unlike, ("data",)), "mixes kinds of devices, cpu and TPU v5")


@dataclasses.dataclass(frozen=True)
class _Device:
    device_kind: str


def test_more_devices_than_available_are_refused():
    flag = "start Python with XLA_FLAGS=--xla_force_host_platform_device_count=2"
    with pytest.raises(
        ValueError, match=rf"devices=2, but there is 1 \(cpu\): .*{flag}"
    ):
        mesh_of(2)
    with pytest.raises(ValueError, match="devices=0"):
        mesh_of(0)
    before = jax.config.jax_num_cpu_devices
    ask_for(100_000)
    assert jax.config.jax_num_cpu_devices == before
    with pytest.raises(ValueError, match=r"1 \(cpu\): a CPU .* at most 1,024\.$"):
        mesh_of(100_000)


def test_every_task_but_classify_is_compared():
    assert set(CASES) == set(fdl.tasks.TASKS) - {"classify"}


def test_unknown_kinds_of_sharding_are_refused():
    with pytest.raises(ValueError, match=r"shard='fsdp' must be 'batch' or 'batch\+st"):
        require_shard("fsdp")
