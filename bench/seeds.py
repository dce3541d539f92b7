"""Results of tasks over thirty seeds, with confidence intervals of the mean.

    python -m bench.seeds [TASKS...] [--seeds 30] [--data-dir DIR]

Each task is swept over its seeds by one command. Results are written to
bench/results/seeds/TASK.json; `python -m bench.tables` copies them to the site. Each
task's settings are its defaults and nothing is selected, so training uses all examples;
the test set is evaluated once for each seed, at the end.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import tyro

from fdl.runs.listing import read_json
from fdl.tasks import find

RESULTS = Path(__file__).parent / "results" / "seeds"
TASKS = ("mlp", "mnist-fast", "cnn", "rnn", "lstm", "gru", "autoencoder")


def main(
    tasks: tyro.conf.Positional[tuple[str, ...]] = TASKS,
    *,
    seeds: int = 30,
    data_dir: Path | None = None,
) -> None:
    """Sweep over seeds, and write the results.

    Args:
        tasks: Names of tasks.
        seeds: Number of seeds.
        data_dir: Folder of the original data files.
    """
    RESULTS.mkdir(exist_ok=True)
    for name in map(lambda name: find(name).name, tasks):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                "fdl",
                "sweep",
                name,
                "--seeds",
                str(seeds),
                "--validation",
                "none",
            ]
            where = [] if data_dir is None else ["--data-dir", str(data_dir)]
            subprocess.run([*command, *where, "--run", f"{folder}/run"], check=True)
            result = read_json(Path(folder, "run", "result.json"))
            result["command"] = " ".join(command)
            file = RESULTS / f"{name}.json"
            file.write_text(json.dumps(result, indent=1) + "\n")
            picture = Path(folder, "run", "distribution.png")
            shutil.copy(picture, RESULTS / f"{name}.png")


if __name__ == "__main__":
    tyro.cli(main)
