"""Metadata that an exported file carries about its model, as JSON."""

import json
from typing import NamedTuple

from fdl.data import DatasetInfo, require_sensible, short_name
from fdl.plain import Predicts
from fdl.recorded import fields_of
from fdl.untrusted import parse_json


class Facts(NamedTuple):
    """Metadata of a model: plain values, which every format stores as one string.

    Attributes:
        task: Name of the task that trained the model.
        part: Which model of the task it is; None for the task's predictor.
        predicts: What the model predicts for each input; see `fdl.tasks.Task`.
        info: The data that the model was trained on: class names, shape of an input.
        versions: Versions of Python and of the packages that wrote the file.
    """

    task: str
    part: str | None
    predicts: Predicts
    info: DatasetInfo
    versions: dict[str, str]

    def to_json(self) -> str:
        """Return the metadata as JSON, without the path of the data, which is private.

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
    """Parse the JSON that `Facts.to_json` returned.

    Raises:
        ValueError: If the JSON is damaged.
    """
    parsed = parse_json(text)
    try:
        facts = Facts(**fields_of(Facts, parsed))
        require_sensible(facts.info, "info.")
    except ValueError as error:
        raise ValueError(f"its metadata is damaged: {error}") from error
    return facts
