"""The command line: `fdl train`, `fdl eval`, `fdl predict`, `fdl tasks`, `fdl data`."""

from fdl.cli.main import main as main
