"""Bad input is refused in words, at once: nothing is lost or overwritten, and no code
in a file has run. What an answer to an exercise may do is in tests/lesson."""

import os
import pickle
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import inception_edu as ie
from experiments.runner import add_row
from inception_edu import explore, figures, papers
from inception_edu.explorers.controls import Choice, Range
from inception_edu.explorers.panel import Panel
from inception_edu.networks.layers import ConvUnit
from inception_edu.training import results
from inception_edu.training.contest import Contest
from inception_edu.training.data import Data, Split, as_input, load_data
from inception_edu.training.optimizers import make_optimizer
from tests.models import Work

pytestmark = pytest.mark.usefixtures("one_thread")

NAN = float("nan")
EVALUATE, QUICK = ie.training.evaluate, ie.recipes.quick


def model(name="mini_reduced", **options):
    torch.manual_seed(0)
    return ie.create_model(name, **options)


def black(n=8):
    return torch.zeros(n, 3, 48, 48, dtype=torch.uint8)


def data(label=0, n=8):
    """Black pictures that all carry one label."""
    labels = torch.full((n,), label)
    split = Split(black(n), labels)
    return Data(split, split, "black", classes=tuple("0123456789"))


class Returns(nn.Module):
    """Returns what `make(logits, features)` does; in training alone or `always`."""

    def __init__(self, make, always=True):
        super().__init__()
        self.linear, self.make, self.always = nn.Linear(48, 10), make, always

    def forward(self, x):
        features = x.mean((1, 2))
        logits = self.linear(features)
        chosen = self.training or self.always
        return self.make(logits, features) if chosen else logits


def fit(given=None, data_=None, recipe=QUICK, **options):
    options = {"epochs": 1, "progress": False} | options
    given = model() if given is None else given
    return ie.fit(given, data() if data_ is None else data_, recipe, **options)


class Bomb:
    """Unpickled without care, it leaves a file behind."""

    def __init__(self, sign):
        self.sign = sign

    def __reduce__(self):
        return Path.touch, (self.sign,)


def bomb(folder):
    return pickle.dumps({"fc.bias": Bomb(folder / "it-ran")}, 2)


def written(folder, name, content):
    """A file with this content."""
    path = folder / name
    path.write_bytes(content)
    return path


def saved(folder, content):
    """A file of weights, as torch writes it."""
    torch.save(content, folder / "w.pth")
    return folder / "w.pth"


def pipe(path):
    """A named pipe, which is never read to its end; elsewhere a folder."""
    os.mkfifo(path) if hasattr(os, "mkfifo") else path.mkdir()
    return path


def load(weights):
    return ie.load_weights(model(), weights)


def with_bias(value, **options):
    return model().state_dict() | {"fc.bias": torch.full((10,), value, **options)}


def harmed(folder, harm):
    path = saved(folder, model().state_dict())
    path.write_bytes(harm(path.read_bytes()))
    return path


def scripted():
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.trace(nn.Conv2d(3, 3, 1), torch.ones(1, 3, 4, 4))


OPERATORS = torch.library.Library("tests", "DEF")
OPERATORS.define("twice(Tensor x) -> Tensor")
OPERATORS.impl("twice", lambda x: 2 * x, "CPU")
QUANTIZED = torch.ao.nn.quantized.dynamic.Linear(8, 3)

# Words of the refusal: what is not traced.
TRACES = {
    "half of its 3x3 window": (nn.MaxPool2d(3, 1, 2), (1, 3, 8, 8)),
    "whole numbers of at least 1": (nn.Conv2d(3, 4, 3), (0, 3, 48, 48)),
    "input_shape is a tensor": (nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 48, 48)),
    "input_shape=224 must hold": (nn.Conv2d(3, 4, 3), 224),
    "expects 3 input channels and gets 5": (nn.Conv2d(3, 4, 3), (1, 5, 9, 9)),
    "9x9 window (dilation 1x1) does not": (nn.Conv2d(3, 4, 9), (1, 3, 5, 5)),
    "create_model('googlenet') makes one": ("googlenet", (1, 3, 9, 9)),
    "call it first": (nn.Conv2d, (1, 3, 9, 9)),
    "expects 5 input features": (nn.Linear(5, 4), (1, 4)),
    "expects 5 channels": (nn.BatchNorm2d(5), (1, 4, 2, 2)),
    "lazy layers (LazyBatchNorm2d)": (nn.LazyBatchNorm2d(affine=False), (1, 3, 8, 8)),
    "getitem of 2x8": (Work(lambda x: x[x > 0]), (2, 8)),
    "values, and a trace has only shapes (bool of a number)": (
        Work(lambda x: bool(x.sum())),
        (2, 8),
    ),
    "tests::twice does not tell its shapes": (Work(torch.ops.tests.twice), (2, 8)),
    "quantized::linear_dynamic does not tell its shapes": (QUANTIZED, (2, 8)),
    "view does not take 2x8": (Work(lambda x: x.view(3, 5)), (2, 8)),
    "trace the model that it was made of": (scripted(), (1, 3, 8, 8)),
}

# Words of the refusal: what is refused, in a folder `f`.
CASES = {
    # ---- models
    "called 'inception_v5'; did you mean": lambda f: ie.create_model("inception_v5"),
    "list_models() gives all": lambda f: ie.create_model(None),
    "num_classes=0 must be a whole number": lambda f: ie.create_model("googlenet", 0),
    "num_classes=2.5 must be a whole": lambda f: ie.create_model("googlenet", 2.5),
    "did you mean layout? it has:": lambda f: ie.create_model("googlenet", layuot=1),
    "choose 'paper' or 'torchvision'": lambda f: model("googlenet", layout="tv"),
    # ---- options of models
    "96 or 128": lambda f: model("bn_inception", pool_proj_4cd=100),
    "'released' or '7x7'": lambda f: model("inception_v3", stem="table1"),
    "bn_inception has no auxiliary head": lambda f: model("bn_inception", aux=True),
    "aux=False": lambda f: model("inception_resnet_v2", layout="paper", aux=True),
    "number of inception_b=-1 must be a whole": lambda f: model("inception_v4", b=-1),
    "odd kernel": lambda f: ConvUnit(3, 8, 2),
    "no published weights for 'mini_naive'": lambda f: ie.load_pretrained("mini_naive"),
    "no auxiliary heads: create": lambda f: ie.load_pretrained("mini_v3", aux=True),
    # ---- inputs of a network
    "takes a batch of color images": lambda f: model()(torch.zeros(1, 1, 48, 48)),
    "and shape (3, 48, 48)": lambda f: model()(torch.zeros(3, 48, 48)),
    "images of bytes": lambda f: model()(black()),
    "input of type ndarray": lambda f: model()(np.zeros((1, 3, 48, 48))),
    # ---- traces and what is made of them
    **{
        words: lambda f, given=given: ie.trace(*given)
        for words, given in TRACES.items()
    },
    "there is no network to time": lambda f: ie.latency({}),
    "input_shape names 'b', the networks are 'a'": lambda f: ie.latency(
        {"a": model()}, {"b": (1, 3, 48, 48)}
    ),
    "-48, 48) must hold whole numbers": lambda f: ie.latency(model(), (1, 3, -48, 48)),
    "pass something like input_shape": lambda f: ie.latency(nn.Linear(3, 3)),
    "a is a str": lambda f: ie.latency({"a": "net"}),
    "rounds=0": lambda f: ie.latency(model(), rounds=0),
    "warm_up=True": lambda f: ie.latency(model(), warm_up=True),
    "threads=0": lambda f: ie.latency(model(), threads=0),
    "it is on the meta device": lambda f: ie.latency(model().to("meta")),
    "No such file": lambda f: ie.diagram(model()).save(f / "no" / "x.svg"),
    "not str": lambda f: ie.fuse("googlenet"),
    "not TopLevelTracedModule": lambda f: ie.fuse(scripted()),
    "no step is called 'folding'": lambda f: ie.fuse(nn.Sequential(), ["folding"]),
    "lazy layers (0)": lambda f: ie.fuse(nn.Sequential(nn.LazyConv2d(3, 1))),
    "latency takes a module, or a dict": lambda f: ie.latency("googlenet"),
    # ---- figures
    "create_model('googlenet') makes": lambda f: ie.diagram("googlenet"),
    "a Conv2d does not say its input": lambda f: ie.diagram(nn.Conv2d(3, 4, 1)),
    "leave input_shape out": lambda f: ie.diagram(
        ie.trace(model(), (1, 3, 48, 48)), (1, 3, 48, 48)
    ),
    "choose 3, 5 or 7": lambda f: figures.asymmetric_pair(4),
    # ---- weights
    "Download it again": lambda f: load(written(f, "w.pth", b"<html>404</html>")),
    "cut short": lambda f: load(harmed(f, lambda content: content[:-99])),
    "holding more than tensors": lambda f: load(written(f, "w.pth", bomb(f))),
    "w.safetensors is not": lambda f: load(written(f, "w.safetensors", bomb(f))),
    "w.pth is not a readable file of weights": lambda f: load(saved(f, model())),
    "finite (1): fc.bias": lambda f: load(with_bias(1e300, dtype=torch.float64)),
    "lazy layers (LazyLinear)": lambda f: ie.load_weights(nn.LazyLinear(3), {}),
    "holds a list": lambda f: load(saved(f, [torch.ones(2)])),
    "no weight file at": lambda f: load(f),
    "Dicts lie inside, under 'identity'": lambda f: (
        fit(checkpoint=f / "run.pt"),
        load(f / "run.pt"),
    ),
    "expected a PIL image": lambda f: ie.load_pretrained("mini_v4").preprocessing(
        "me.png"
    ),
    "not Network": lambda f: load(model()),
    "it comes first": lambda f: ie.load_weights(model().state_dict(), model()),
    "did you mean inception_v3": lambda f: ie.load_pretrained("inception_v33"),
    # ---- data
    "n=0 must be a whole number from 1": lambda f: ie.digits_at_scale(0),
    "seed=1099511627776 must be": lambda f: ie.digits_at_scale(9, seed=2**40),
    "choose from digits_at_scale, cifar10": lambda f: load_data("mnist"),
    "expected tensors, uint8": lambda f: Split(torch.zeros(8, 3, 9, 9), torch.zeros(8)),
    "uint8, labels: Tensor (7,) float32; expected": lambda f: Split(
        black(), torch.zeros(7)
    ),
    "images: ndarray (8, 3, 48, 48) uint8, labels: Tensor": lambda f: Split(
        black().numpy(), torch.zeros(8)
    ),
    "labels from 0.5 to 0.5: expected whole": lambda f: fit(data_=data(label=0.5)),
    "images of shape (3, 48, 48)": lambda f: fit(nn.Linear(3, 10)),
    "not Tensor (3, 48, 48) uint8": lambda f: as_input(black()[0]),
    # ---- trainings
    "model=<class 'torch.nn.modules": lambda f: fit(nn.Linear),
    "data=[1] cannot be used": lambda f: fit(data_=[1]),
    "recipe='quick' cannot be used": lambda f: fit(recipe="quick"),
    "epochs=inf": lambda f: fit(epochs=float("inf")),
    "device='gpu' cannot be used here": lambda f: fit(device="gpu"),
    "1 train and 1 test images: at least 2": lambda f: fit(data_=data(n=1)),
    "labels from 10 to 10: expected whole": lambda f: fit(data_=data(label=10)),
    "build it with num_classes=10": lambda f: fit(model(num_classes=9)),
    "the model returns dict": lambda f: fit(Returns(lambda y, x: {"logits": y})),
    "(2, 10) float32 and dict": lambda f: fit(Returns(lambda y, x: (y, {"x": x}))),
    "(2, 10) float32 and Tensor (2, 48)": lambda f: fit(Returns(lambda *both: both)),
    "(8, 10) float32 and Tensor (8, 48)": lambda f: fit(
        Returns(lambda *both: both, always=False)
    ),
    "has no gradient: look": lambda f: fit(Returns(lambda y, x: y.long())),
    "output has no gradient": lambda f: fit(Returns(lambda y, x: y.detach())),
    "lazy layers (1)": lambda f: fit(nn.Sequential(nn.Flatten(), nn.LazyLinear(2))),
    "lazy layers (0.0)": lambda f: EVALUATE(
        nn.Sequential(nn.Sequential(nn.LazyLinear(2))), data()
    ),
    "1 seeds in common": lambda f: ie.training.compare(
        results("ladder").query("seed == 1"), "rung", "baseline", "bn_aux"
    ),
    "dict; expected a tensor": lambda f: EVALUATE(
        Returns(lambda y, x: {"logits": y}), data()
    ),
    "Tensor (8, 3, 48, 48) float32; expected": lambda f: EVALUATE(
        nn.Identity(), data()
    ),
    "evaluate takes a module and data": lambda f: EVALUATE("mini_v3", data()),
    "did you mean learning_rate": lambda f: QUICK.but(learnig_rate=0.1),
    "learning_rate=nan must lie": lambda f: QUICK.but(learning_rate=NAN),
    "clip='2' must lie between": lambda f: QUICK.but(clip="2"),
    "schedule='cosine' is unknown": lambda f: QUICK.but(schedule="cosine"),
    "no weight to train": lambda f: make_optimizer(QUICK, nn.Flatten()),
    "batch_size=1 must lie between 2": lambda f: QUICK.but(batch_size=1),
    "build is a Network": lambda f: Contest(folder=f).enter("mine", model()),
    # ---- checkpoints, histories, tables of runs
    "in an existing folder": lambda f: fit(checkpoint=f / "no" / "run.pt"),
    "must be a file in an": lambda f: fit(checkpoint=pipe(f / "run.pt")),
    "(UnpicklingError); delete": lambda f: fit(
        checkpoint=written(f, "run.pt", bomb(f))
    ),
    "name another file with --out": lambda f: (
        add_row(f / "x.csv", {"a": 1}),
        add_row(f / "x.csv", {"b": 1}),
    ),
    "stored: ": lambda f: results("laddr"),
    # ---- papers and lessons
    "1-model-1-crop": lambda f: papers.figure("going-deeper/table-3/1-model-1crop"),
    "did you mean blog/choose-best": lambda f: papers.claim("blog/chose-best"),
    "did you mean naive_module": lambda f: ie.check.naive_modul,
    "did you mean 00-family": lambda f: ie.quiz("00-famly"),
    # ---- explorers
    "no control 'kernal'": lambda f: explore.module(sweep={"kernal": [3]}, frames=True),
    "did you mean module": lambda f: explore.modul,
    "bn_inception cannot take 299x299": lambda f: explore.network(
        start={"network": "bn_inception", "size": 299}
    ),
    "inception_v4 cannot take 64x64, where a grid would be empty": lambda f: (
        explore.network(start={"size": 64})
    ),
    "80 frames are too many": lambda f: explore.network(
        sweep={"b": list(range(80))}, frames=True
    ),
    "x = 9 lies between": lambda f: Panel("x", "?", [Range("x", "x", 8, 96, 8, 9)], 0),
    "x = 5 is not a choice": lambda f: Panel("x", "?", [Choice("x", "x", [1], 5)], 0),
}
REFUSALS = (ValueError, TypeError, AttributeError, KeyError, RuntimeError, OSError)


@pytest.mark.parametrize(("words", "call"), CASES.items(), ids=CASES)
def test_bad_input_is_refused_in_words(words, call, tmp_path, monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "cache"))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("a year of work", encoding="utf-8")
    start = time.monotonic()
    with pytest.raises(REFUSALS) as refused:
        call(mine)
    said = str(refused.value)
    assert words in said
    assert "weights_only" not in said  # torch's advice to run the code after all
    assert time.monotonic() - start < 20
    assert (mine / "notes.txt").read_text(encoding="utf-8") == "a year of work"
    left = [path.name for path in mine.rglob("*")]
    assert not any(name == "it-ran" or ".part" in name for name in left)
    assert not (tmp_path / "cache").exists()


def test_whole_numbers_may_be_of_any_width(tmp_path):
    one, ten = np.int64(1), np.int32(10)
    assert len(ie.digits_at_scale(np.int64(30), n_test=ten).test) == 10
    assert (
        ie.create_model("mini_reduced", ten)(torch.zeros(2, 3, 48, 48)).shape[1] == 10
    )
    narrow = Split(black(), torch.zeros(8).int())
    assert fit(data_=Data(narrow, narrow, "x"), epochs=one, seed=np.int64(0)).loss


def test_an_image_that_is_no_number_spoils_its_own_answer_alone():
    """A network passes it on, as arithmetic does; its neighbors do not notice."""
    network = model().eval()
    batch = torch.randn(3, 3, 48, 48)
    clean = network(batch)
    batch[1, :, 20:30, 20:30] = NAN
    answer = network(batch)
    assert not answer[1].isfinite().any()
    assert torch.allclose(answer[[0, 2]], clean[[0, 2]], atol=1e-5)
