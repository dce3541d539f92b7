"""The worked example of TensorFlow's introduction: a small CNN on handwritten digits."""

from fdl.models import CNN
from fdl.tasks.classification import classifier
from fdl.tasks.task import Task

cnn = Task(
    name="cnn",
    title="small convolutional network, 93,322 parameters",
    paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
    datasets=("mnist", "fashion_mnist", "mnist-5k"),
    epochs=5,
    batch_size=64,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    make_learner=classifier(lambda info: CNN(info.num_classes)),
)
