"""A classifier of the user's own."""

from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify as _learn
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.task import Task

classify = Task(
    **vars(describe("classify")),
    make_model=lambda options, info: None,
    learn=_learn,
    finish=draw_mistakes,
)
