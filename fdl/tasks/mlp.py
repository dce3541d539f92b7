"""The first model of TensorFlow's beginner's guide: one hidden layer with dropout."""

from fdl.models import MLP
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task

mlp = Task(
    name="mlp",
    title="multilayer perceptron with one hidden layer, 101,770 parameters",
    paper="Rumelhart et al., 1986, Learning representations by back-propagating errors",
    takes=("image", "vector"),
    epochs=(5, 20),
    batch_size=32,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="accuracy",
    mode="max",
    make_model=lambda options, info: MLP(info.num_classes, dropout_rate=0.2),
    learn=classify,
    finish=draw_mistakes,
    predicts="classes",
)
