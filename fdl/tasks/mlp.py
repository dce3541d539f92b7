"""The first model of TensorFlow's beginner's guide: one hidden layer with dropout."""

from fdl.models import MLP
from fdl.tasks.classification import TAKES, classify, draw_mistakes
from fdl.tasks.task import Task

mlp = Task(
    name="mlp",
    title="multilayer perceptron with one hidden layer, 101,770 parameters",
    paper="Rumelhart et al., 1986, Learning representations by back-propagating errors",
    epochs={"mnist": 5, "fashion_mnist": 5, "mnist-5k": 20},
    batch_size=32,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="accuracy",
    mode="max",
    make_model=lambda options, info: MLP(info.num_classes, dropout_rate=0.2),
    learn=classify,
    takes=TAKES,
    finish=draw_mistakes,
    predicts="classes",
)
