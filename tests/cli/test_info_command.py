"""`fdl info` prints what a bug report needs."""

import json

import jax

import fdl
from fdl.cli import main


def test_versions_devices_and_flags_are_printed(capsys, monkeypatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    monkeypatch.setenv("FDL_MNIST_URL", "https://me:secret@there/")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    main(["info"])
    lines = capsys.readouterr().out.splitlines()
    printed = dict(line.split(maxsplit=1) for line in lines if " " in line)
    assert printed["fdl"] == fdl.__version__
    assert printed["device"].startswith("cpu: ")
    assert f"jax {jax.__version__}, " in printed["packages"]
    assert "JAX_ENABLE_X64 0" in printed["variables"]
    assert "secret" not in "\n".join(lines)
    main(["info", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["packages"]["jax"] == jax.__version__
    assert record["variables"]["JAX_ENABLE_X64"] == "0"
