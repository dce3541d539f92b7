"""What a report of a bug needs."""

import json

import jax

import fdl
from fdl.cli import main


def test_it_tells_versions_devices_and_flags(capsys, monkeypatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    monkeypatch.setenv("FDL_MNIST_URL", "https://me:secret@there/")
    monkeypatch.setenv("MY_PASSWORD", "secret")
    main(["info"])
    lines = capsys.readouterr().out.splitlines()
    said = dict(line.split(maxsplit=1) for line in lines if " " in line)
    assert said["fdl"] == fdl.__version__
    assert said["device"].startswith("cpu: ")
    assert f"jax {jax.__version__}, " in said["packages"]
    assert "JAX_ENABLE_X64 0" in said["variables"]
    assert "secret" not in "\n".join(lines)
    main(["info", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["packages"]["jax"] == jax.__version__
    assert found["variables"]["JAX_ENABLE_X64"] == "0"
