"""A classifier of the user's own."""

from fdl.tasks.classification import classify as _learn
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.own import OwnModel
from fdl.tasks.task import Task

classify = Task(
    name="classify",
    title="classifier of your own (--model)",
    paper="any Linen module, see docs/your-model.md",
    epochs=(5, 20),
    batch_size=64,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="accuracy",
    mode="max",
    make_model=lambda options, info: None,
    learn=_learn,
    options=OwnModel(),
    takes=("image", "vector"),
    finish=draw_mistakes,
    predicts="classes",
)
