"""The error of exported files."""


class ExportError(ValueError):
    """A model that a format cannot hold, or a file that is damaged or not fdl's."""
