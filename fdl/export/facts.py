"""What an exported file says about its model, as JSON."""

import json
from typing import NamedTuple

from fdl.data import DatasetInfo, require_sensible, short_name
from fdl.plain import Predicts
from fdl.recorded import fields_of
from fdl.untrusted import parse_json


class Spread(NamedTuple):
    """Mean and standard deviation of each of some numbers, such as columns of a table.

    A model reads, or gives, numbers with the mean 0 and the deviation 1 in their place.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Facts(NamedTuple):
    """What a model is: plain values, which every format keeps as one text.

    Attributes:
        task: Name of the task that trained it.
        part: Which model of the task; None for what the task predicts.
        predicts: What it answers to each input; see `fdl.tasks.Task`.
        info: The data that it was trained on: class names, shape of an input.
        versions: Of Python and of the packages that wrote the file.
    """

    task: str
    part: str | None
    predicts: Predicts
    info: DatasetInfo
    versions: dict[str, str]

    def to_json(self) -> str:
        """Return the text; where the data lay is nobody else's business.

        Example:
            >>> info = DatasetInfo("", "", "", 2, ("a", "b"), (3,) * 3, 9, 0, 9, "", ())
            >>> text = Facts("mlp", None, "classes", info, {}).to_json()
            >>> facts_of(text).info.class_names
            ('a', 'b')
            >>> info = info._replace(name="folder:/home/me/pets")
            >>> facts_of(Facts("mlp", None, "classes", info, {}).to_json()).info.name
            'pets'
        """
        info = self.info._replace(source="", name=short_name(self.info.name))
        return json.dumps(self._replace(info=info._asdict())._asdict())  # type: ignore


def facts_of(text: str | bytes) -> Facts:
    """Return the facts that a text says.

    Raises:
        ValueError: If it is damaged.
    """
    said = parse_json(text)
    try:
        facts = Facts(**fields_of(Facts, said))
        require_sensible(facts.info, "info.")
    except ValueError as error:
        raise ValueError(f"what it says about the model is damaged: {error}") from error
    return facts
