"""The worked example of TensorFlow's introduction: a small CNN on digits."""

from fdl.models import CNN
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task

cnn = Task(
    name="cnn",
    title="small convolutional network, 93,322 parameters",
    paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
    epochs=(5, 20),
    batch_size=64,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="accuracy",
    mode="max",
    make_model=lambda options, info: CNN(info.num_classes),
    learn=classify,
    finish=draw_mistakes,
    predicts="classes",
)
