"""Optimizers and learning-rate schedules."""

from . import lr_scheduler, swa_utils
from .adam import Adam, AdamW
from .adam_variants import Adamax, NAdam, RAdam
from .by_sign import ASGD, Rprop
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .scaled import Adadelta, Adagrad, RMSprop
from .sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]


def __getattr__(name):
    raise AttributeError(
        f"wengert has no optim.{name} yet (module 'wengert.optim' has no attribute {name!r})"
    )
