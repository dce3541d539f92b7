"""Names of classes, as short as pictures need them."""


def cut(name: str, longest: int = 12) -> str:
    """Return a name of at most so many characters.

    Example:
        >>> cut("boot"), cut("a very long name")
        ('boot', 'a very long…')
    """
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def seen(word: str) -> str:
    """Return a word, or a letter, as short, and as it can be seen.

    Example:
        >>> seen("a"), seen(" ")
        ('a', '␣')
    """
    return cut(word) if word.strip() else "␣"
