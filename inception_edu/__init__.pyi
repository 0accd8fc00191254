"""The types of the public names; `__init__.py` imports each when it is first used."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from types import EllipsisType
from typing import Any

import torch
from torch import nn

from inception_edu import cost as cost
from inception_edu import explorers as explorers
from inception_edu import figures as figures
from inception_edu import lesson as lesson
from inception_edu import networks as networks
from inception_edu import papers as papers
from inception_edu import training as training
from inception_edu.cost.result import Trace as Trace
from inception_edu.cost.timing import Latency
from inception_edu.figures.diagram import Diagram
from inception_edu.lesson.prediction import Prediction
from inception_edu.lesson.progress import Progress
from inception_edu.training import recipes as recipes
from inception_edu.training.data import Data
from inception_edu.training.history import History
from inception_edu.training.recipes import Recipe

__version__: str
check: Any
explore: Any

def list_models() -> list[str]: ...
def create_model(
    name: str, num_classes: int | None = None, aux: bool = False, **options: object
) -> nn.Module: ...
def load_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor] | str | PathLike[str]
) -> nn.Module: ...
def load_pretrained(
    name: str,
    *,
    aux: bool = False,
    cache: str | PathLike[str] | None = None,
    progress: bool = True,
) -> nn.Module: ...
def fuse(model: nn.Module, steps: Iterable[str] = ...) -> nn.Module: ...
def trace(
    model: nn.Module,
    input_shape: Sequence[int],
    *more_shapes: Sequence[int],
    aux: bool = False,
    dtype: torch.dtype = ...,
) -> Trace: ...
def latency(
    models: nn.Module | Mapping[str, nn.Module],
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    *,
    rounds: int = 7,
    warm_up: int = 2,
    threads: int | None = None,
) -> Latency | dict[str, Latency]: ...
def diagram(
    model_or_trace: nn.Module | Trace,
    input_shape: Sequence[int] | None = None,
    *,
    title: str | None = None,
) -> Diagram: ...
def digits_at_scale(
    n: int = 6000, seed: int = 0, size: int = 48, *, n_test: int = 2000
) -> Data: ...
def fit(
    model: nn.Module | str,
    data: Data | str,
    recipe: Recipe = ...,
    epochs: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
    checkpoint: str | PathLike[str] | None = None,
    callback: Callable[[History], object] | None = None,
    threads: int | None = None,
) -> History: ...
def predict(
    key: str,
    question: str,
    guess: float | str | EllipsisType | None = None,
    unit: str = "",
    options: Sequence[object] | None = None,
) -> Prediction: ...
def quiz(key: str, answer: str | EllipsisType | None = None) -> None: ...
def progress() -> Progress: ...
