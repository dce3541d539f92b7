"""Names of classes, as short as pictures need them."""


def cut(name: str, longest: int = 12) -> str:
    """Return a name of at most so many characters.

    Example:
        >>> cut("boot"), cut("a very long name")
        ('boot', 'a very long…')
    """
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
