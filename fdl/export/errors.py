"""The error raised when an export or an import of one fails."""


class ExportError(ValueError):
    """A format cannot hold a model, or a file is damaged or was not written by fdl."""
