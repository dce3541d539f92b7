"""Runs on disk: train a task into a folder, open it, sweep, compare."""

from fdl.listing import public as _public
from fdl.runs.compare import Comparison as Comparison
from fdl.runs.compare import compare as compare
from fdl.runs.errors import RunError as RunError
from fdl.runs.folder import RunFolder as RunFolder
from fdl.runs.folder import fresh_path as fresh_path
from fdl.runs.outcomes import Outcome as Outcome
from fdl.runs.outcomes import Sweep as Sweep
from fdl.runs.resume import resume as resume
from fdl.runs.run import Run as Run
from fdl.runs.run import load as load
from fdl.runs.run import open_run as open_run
from fdl.runs.settings import configure as configure
from fdl.runs.space import Range as Range
from fdl.runs.sweep import sweep as sweep
from fdl.runs.train import train as train
from fdl.runs.weights import load_weights as load_weights
from fdl.runs.weights import save_weights as save_weights

__dir__ = _public(__name__)
