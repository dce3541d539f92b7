"""Export trained models to files that other programs read."""

from fdl.export.errors import ExportError as ExportError
from fdl.export.facts import Facts as Facts
from fdl.export.onnx import write_onnx as write_onnx
from fdl.export.safetensors import write_safetensors as write_safetensors
from fdl.export.stablehlo import ExportedFunction as ExportedFunction
from fdl.export.stablehlo import read_stablehlo as read_stablehlo
from fdl.export.stablehlo import write_stablehlo as write_stablehlo
from fdl.listing import public as _public

__dir__ = _public(__name__)
