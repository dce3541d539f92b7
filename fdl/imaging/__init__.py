"""Functions of images that changes of training data share with layers of Keras'."""
