"""Class names, shortened for pictures."""


def cut(name: str, longest: int = 12) -> str:
    """Return a name shortened to at most `longest` characters.

    Example:
        >>> cut("boot"), cut("a very long name")
        ('boot', 'a very long…')
    """
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def seen(word: str) -> str:
    """Return a word shortened, with blanks made visible.

    Example:
        >>> seen("a"), seen(" ")
        ('a', '␣')
    """
    return cut(word) if word.strip() else "␣"
