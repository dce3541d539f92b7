"""Keras' optimizers, step for step, as optax gradient transformations.

They differ from the optimizers of the same name in optax in details that add up: where
epsilon is added, what momentum accumulates, what weight decay is multiplied by.
Arguments have Keras' names and defaults. All optimizers accept

    learning_rate: a number above 0, or a schedule (see `fdl.keras.schedules`);
    weight_decay: decoupled weight decay, at least 0: each step first subtracts
        `learning_rate * weight_decay` times the parameter; None for no decay;
    clipnorm: maximum norm of the gradient of each parameter; None or 0 for no limit;
    global_clipnorm: maximum norm of all gradients together; None or 0 for no limit;
    clipvalue: maximum absolute value of a gradient's elements; None or 0 for no limit;
    use_ema: whether to average the parameters over the steps, in the slot `average`;
    ema_momentum: decay of the average, in [0, 1];
    ema_overwrite_frequency: number of steps after which the parameters are set to their
        average, at least 1; None for never;
    loss_scale_factor: factor of the loss, above 0, by which gradients are divided;
        fdl's learners multiply the loss by it. None for 1;
    gradient_accumulation_steps: number of gradients, at least 2, that are averaged for
        one step; None for 1. Schedules count gradients.

Only one kind of clipping may be given, as in Keras. Values that are out of range or not
numbers raise a ValueError.
"""

from fdl.keras.optimizers.gradients import adadelta as adadelta
from fdl.keras.optimizers.gradients import adagrad as adagrad
from fdl.keras.optimizers.gradients import ftrl as ftrl
from fdl.keras.optimizers.gradients import lion as lion
from fdl.keras.optimizers.gradients import rmsprop as rmsprop
from fdl.keras.optimizers.gradients import sgd as sgd
from fdl.keras.optimizers.loss_scale import loss_scaled as loss_scaled
from fdl.keras.optimizers.matrices import adafactor as adafactor
from fdl.keras.optimizers.matrices import muon as muon
from fdl.keras.optimizers.moments import adam as adam
from fdl.keras.optimizers.moments import adamax as adamax
from fdl.keras.optimizers.moments import adamw as adamw
from fdl.keras.optimizers.moments import lamb as lamb
from fdl.keras.optimizers.moments import nadam as nadam
from fdl.keras.optimizers.moments import schedulefreeadamw as schedulefreeadamw
