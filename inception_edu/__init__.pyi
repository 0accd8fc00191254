"""The public names for a type checker; `__init__.py` imports each at its first use."""

from typing import Any

from inception_edu import cost as cost
from inception_edu import explorers as explorers
from inception_edu import figures as figures
from inception_edu import lesson as lesson
from inception_edu import networks as networks
from inception_edu import papers as papers
from inception_edu import training as training
from inception_edu.cost.result import Trace as Trace
from inception_edu.cost.run import trace as trace
from inception_edu.cost.timing import latency as latency
from inception_edu.figures.diagrams import diagram as diagram
from inception_edu.lesson.prediction import predict as predict
from inception_edu.lesson.progress import progress as progress
from inception_edu.lesson.quiz import quiz as quiz
from inception_edu.networks import create_model as create_model
from inception_edu.networks import fuse as fuse
from inception_edu.networks import list_models as list_models
from inception_edu.networks import load_pretrained as load_pretrained
from inception_edu.networks import load_weights as load_weights
from inception_edu.training import recipes as recipes
from inception_edu.training.data import digits_at_scale as digits_at_scale
from inception_edu.training.loop import fit as fit

__version__: str
check: Any
explore: Any
