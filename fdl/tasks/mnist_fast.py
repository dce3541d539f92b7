"""99 % of MNIST in the least time: a small network, two passes, one cycle."""

from fdl.models import FastCNN
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task

mnist_fast = Task(
    name="mnist-fast",
    title="small convolutional network, two passes, 108,730 parameters",
    paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
    epochs=(2, 10),
    batch_size=64,
    learning_rates={"one-cycle": 7e-3, "constant": 1e-3},
    metric="accuracy",
    mode="max",
    make_model=lambda options, info: FastCNN(info.num_classes),
    learn=classify,
    finish=draw_mistakes,
    predicts="classes",
)
