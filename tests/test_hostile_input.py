"""Bad input of every kind: each is refused in the words of this table, at once.

Nothing is lost and nothing is overwritten: the files that a case finds in its folder
are the same afterwards, and no code in any of them has run. What a candidate in an
exercise may do is in tests/lesson/test_hostile.py.
"""

import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import inception_edu as ie
from experiments.runner import add_rows, missing_runs
from inception_edu.files import atomic_write
from inception_edu.training import checkpoint, results
from inception_edu.training.contest import Contest
from inception_edu.training.data import Data, Split, as_input
from inception_edu.training.downloads import load_data
from inception_edu.training.history import History

pytestmark = pytest.mark.usefixtures("one_thread")


NAN, INF = float("nan"), float("inf")


def model(name="mini_reduced", **options):
    torch.manual_seed(0)
    return ie.create_model(name, **options)


def images(*shape, fill=0.0):
    return torch.full(shape, fill)


def data(classes="0123456789", label=0, n=8):
    """Black pictures that all carry one label."""
    split = Split(
        torch.zeros(n, 3, 48, 48, dtype=torch.uint8),
        torch.full((n,), label),
    )
    return Data(split, split, "black", classes=tuple(classes))


def tiny():
    return Split(torch.zeros(8, 3, 4, 4, dtype=torch.uint8), torch.zeros(8).long())


class Table(nn.Module):
    """A network that returns a dict."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(48, 10)

    def forward(self, x):
        return {"logits": self.linear(x.mean((1, 2)))}


class Wordy(nn.Conv2d):
    """A network that returns text."""

    def __init__(self):
        super().__init__(3, 4, 3)

    def forward(self, x):
        super().forward(x)
        return "a cat"


PLAN, KEY = [{"model": "mini_v2", "seed": 0}], ("model", "seed")


def fit(given=None, data_=None, recipe=ie.recipes.quick, **options):
    options = {"epochs": 1, "progress": False} | options
    given = model() if given is None else given
    return ie.fit(given, data() if data_ is None else data_, recipe, **options)


class Bomb:
    """Unpickled without care, it leaves a file behind."""

    def __init__(self, sign):
        self.sign = sign

    def __reduce__(self):
        return Path.touch, (self.sign,)


def weights(change=lambda table: None, ending=".pth", harm=lambda content: content):
    """Write the weights of a mini, changed or harmed, and load them."""

    def call(folder):
        table = model().state_dict()
        table = change(table) or table
        path = folder / f"weights{ending}"
        (save_file if ending == ".safetensors" else torch.save)(table, path)
        path.write_bytes(harm(path.read_bytes()))
        ie.load_weights(model(), path)

    return call


def file(name, content, use):
    """Write a file with this content and use it."""

    def call(folder):
        path = folder / name
        path.write_bytes(content(folder) if callable(content) else content)
        return use(path)

    return call


def pipe(path):
    """A named pipe, which is never read to its end; elsewhere a folder."""
    os.mkfifo(path) if hasattr(os, "mkfifo") else path.mkdir()
    return path


def bomb(folder):
    return pickle.dumps({"fc.bias": Bomb(folder / "it-ran")}, 2)


def load_into(path):
    return ie.load_weights(model(), path)


def flip(content):
    """One byte changed in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


def rename(table):
    return {("fc.bais" if key == "fc.bias" else key): v for key, v in table.items()}


MODELS = {
    "a name with a slip": (
        lambda _: ie.create_model("inception_v5"),
        ValueError,
        "no model is called 'inception_v5'; did you mean inception_v4",
    ),
    "a name in capitals": (
        lambda _: ie.create_model("GoogLeNet"),
        ValueError,
        "did you mean googlenet",
    ),
    "no name": (lambda _: ie.create_model(None), ValueError, "list_models() gives all"),
    "a list for a name": (
        lambda _: ie.create_model(["googlenet"]),
        ValueError,
        "no model is called ['googlenet']",
    ),
    "no class": (
        lambda _: ie.create_model("googlenet", 0),
        ValueError,
        "num_classes=0 must be at least 1",
    ),
    "half a class": (
        lambda _: ie.create_model("googlenet", 2.5),
        TypeError,
        "num_classes=2.5 must be a whole number",
    ),
    "classes as text": (
        lambda _: ie.create_model("googlenet", "10"),
        TypeError,
        "num_classes='10' must be a whole number",
    ),
    "an option with a slip": (
        lambda _: ie.create_model("googlenet", layuot="paper"),
        TypeError,
        "no option 'layuot'; did you mean layout? it has: norm, layout",
    ),
    "a layout with a slip": (
        lambda _: ie.create_model("googlenet", layout="tochvision"),
        ValueError,
        "choose 'paper' or 'torchvision'",
    ),
    "a negative width": (
        lambda _: model(width=-1),
        ValueError,
        "width=-1 must lie between 0.1 and 8",
    ),
    "a width as text": (
        lambda _: model(width="wide"),
        ValueError,
        "width='wide' must lie between 0.1 and 8",
    ),
    "half a module": (
        lambda _: ie.create_model("inception_v4", a=1.5),
        ValueError,
        "a=1.5 must be a whole number of modules",
    ),
    "modules without end": (
        lambda _: model("mini_v4", a=10**9),
        ValueError,
        "a=1000000000 must be a whole number of modules, 0 to 100",
    ),
    "a scale as text": (
        lambda _: model("mini_resnet", scale="0.2"),
        ValueError,
        "scale='0.2' must lie between 0 and 10",
    ),
    "a scale of NaN": (
        lambda _: ie.create_model("inception_resnet_v2", scale=NAN),
        ValueError,
        "scale=nan must be one number, or three",
    ),
    "heads that a network lacks": (
        lambda _: model(aux=True),
        ValueError,
        "mini_reduced has no auxiliary head; use aux=False, or mini_v3",
    ),
    "an unknown attribute": (
        lambda _: ie.explore.modul,
        AttributeError,
        "did you mean module",
    ),
}

INPUTS = {
    "a gray image": (
        lambda _: model()(images(1, 1, 48, 48)),
        ValueError,
        "takes a batch of color images, (N, 3, height, width)",
    ),
    "four channels": (
        lambda _: model()(images(1, 4, 48, 48)),
        ValueError,
        "input of shape (1, 4, 48, 48)",
    ),
    "channels last": (
        lambda _: model()(images(1, 48, 48, 3)),
        ValueError,
        "input of shape (1, 48, 48, 3)",
    ),
    "no batch": (
        lambda _: model()(images(3, 48, 48)),
        ValueError,
        "input of shape (3, 48, 48)",
    ),
    "too small an image": (
        lambda _: model("mini_v4")(images(1, 3, 5, 5)),
        ValueError,
        "input 5x5 is smaller than mini_v4 can take (13x13)",
    ),
    "an image without rows": (
        lambda _: model()(images(1, 3, 0, 48)),
        ValueError,
        "input 0x48 is smaller",
    ),
    "bytes": (
        lambda _: model().eval()(torch.zeros(1, 3, 48, 48, dtype=torch.uint8)),
        TypeError,
        "input of type torch.uint8 for weights of type torch.float32",
    ),
    "numpy's doubles": (
        lambda _: model()(torch.from_numpy(np.zeros((2, 3, 48, 48)))),
        TypeError,
        "input of type torch.float64 for weights of type torch.float32: pass x.to(",
    ),
    "an array": (
        lambda _: model()(np.zeros((1, 3, 48, 48), np.float32)),
        TypeError,
        "input of type ndarray: mini_reduced takes a tensor",
    ),
    "a list": (lambda _: model()([[0.0]]), TypeError, "input of type list"),
    "nothing": (lambda _: model()(None), TypeError, "input of type NoneType"),
    "branches that do not meet": (
        lambda _: ie.networks.Branches(
            {"a": nn.Conv2d(3, 1, 3), "b": nn.Conv2d(3, 1, 1)}
        )(images(1, 3, 9, 9)),
        ValueError,
        "branches end on different grids (a: 7x7, b: 9x9)",
    ),
}

TRACES = {
    "a pool padded beyond its window": (
        lambda _: ie.trace(nn.MaxPool2d(3, 1, padding=2), (1, 3, 8, 8)),
        RuntimeError,
        "at most half of its 3x3 window as padding, not 2x2",
    ),
    "a pool that stands still": (
        lambda _: ie.trace(nn.AvgPool2d(3, stride=0), (1, 3, 8, 8)),
        RuntimeError,
        "a window with stride 0x0",
    ),
    "a pool to nothing": (
        lambda _: ie.trace(nn.AdaptiveAvgPool2d(0), (1, 3, 8, 8)),
        RuntimeError,
        "a pool to a 0x0 grid leaves nothing",
    ),
    "a clock for no network": (
        lambda _: ie.latency({}),
        ValueError,
        "there is no network to time",
    ),
    "a shape for another network": (
        lambda _: ie.latency({"a": model()}, {"b": (1, 3, 48, 48)}),
        ValueError,
        "input_shape names 'b', the networks are 'a'",
    ),
    "a negative size for the clock": (
        lambda _: ie.latency(model(), (1, 3, -48, 48)),
        ValueError,
        "must hold whole numbers above 0",
    ),
    "a negative size": (
        lambda _: ie.trace(model(), (1, 3, -48, 48)),
        ValueError,
        "input_shape=(1, 3, -48, 48) must hold whole numbers of at least 1",
    ),
    "a size of zero": (
        lambda _: ie.trace(model(), (0, 3, 48, 48)),
        ValueError,
        "at least 1",
    ),
    "a shape as text": (
        lambda _: ie.trace(model(), "1x3x48x48"),
        ValueError,
        "is not a shape; pass something like",
    ),
    "a tensor for a shape": (
        lambda _: ie.trace(model(), images(1, 3, 48, 48)),
        ValueError,
        "input_shape is a tensor; pass its shape, (1, 3, 48, 48)",
    ),
    "a name for a network": (
        lambda _: ie.trace("googlenet", (1, 3, 224, 224)),
        TypeError,
        "create_model('googlenet') makes one",
    ),
    "a class for a network": (
        lambda _: ie.trace(nn.Conv2d, (1, 3, 9, 9)),
        TypeError,
        "call it first",
    ),
    "channels that do not fit": (
        lambda _: ie.trace(nn.Conv2d(3, 4, 3), (1, 5, 9, 9)),
        RuntimeError,
        "expects 3 input channels and gets 5",
    ),
    "a window larger than the image": (
        lambda _: ie.trace(nn.Conv2d(3, 4, 9), (1, 3, 5, 5)),
        RuntimeError,
        "a 9x9 window (dilation 1x1) does not fit a 5x5 grid",
    ),
    "a diagram of a name": (
        lambda _: ie.diagram("googlenet"),
        TypeError,
        "diagram takes an nn.Module or a trace of one",
    ),
    "a diagram saved as .doc": (
        lambda folder: ie.diagram(model()).save(folder / "x.doc"),
        ValueError,
        "choose a name that ends in .svg, .pdf, .png",
    ),
    "a diagram saved nowhere": (
        lambda folder: ie.diagram(model()).save(folder / "no" / "x.svg"),
        FileNotFoundError,
        "No such file or directory",
    ),
    "a fused name": (lambda _: ie.fuse("googlenet"), TypeError, "not str"),
    "the latency of a name": (
        lambda _: ie.latency("googlenet"),
        TypeError,
        "latency takes a module, or a dict of them by name, got 'googlenet'",
    ),
}

WEIGHTS = {
    "an empty file": (
        file("w.pth", b"", load_into),
        ValueError,
        "is not a readable file of weights",
    ),
    "a page that says 404": (
        file("w.pth", b"<html>404</html>", load_into),
        ValueError,
        "Download it again",
    ),
    "a file cut short": (
        weights(harm=lambda content: content[:-99]),
        ValueError,
        "damaged, cut short",
    ),
    "a safetensors file cut short": (
        weights(ending=".safetensors", harm=lambda content: content[:-99]),
        ValueError,
        "damaged, cut short",
    ),
    "a changed byte": (weights(harm=flip), ValueError, "damaged"),
    "a pickle that runs code": (
        file("w.pth", bomb, load_into),
        ValueError,
        "holding more than tensors",
    ),
    "a pickle named .safetensors": (
        file("w.safetensors", bomb, load_into),
        ValueError,
        "not a readable file of weights",
    ),
    "a whole network": (
        lambda folder: (
            torch.save(model(), folder / "w.pth"),
            load_into(folder / "w.pth"),
        ),
        ValueError,
        "holding more than tensors",
    ),
    "a list in a file": (
        lambda folder: (torch.save([1], folder / "w.pth"), load_into(folder / "w.pth")),
        ValueError,
        "holds a list",
    ),
    "another network's": (
        lambda _: ie.load_weights(model(), model("mini_v4").state_dict()),
        ValueError,
        "do not fit mini_reduced",
    ),
    "one key renamed": (
        weights(rename),
        ValueError,
        "missing (1): fc.bias",
    ),
    "a key too many": (
        weights(lambda table: table | {"extra": torch.ones(1)}),
        ValueError,
        "unexpected (1): extra",
    ),
    "another number of classes": (
        lambda _: ie.load_weights(model(), model(num_classes=3).state_dict()),
        ValueError,
        "of another shape (2): fc.bias 3 for 10",
    ),
    "NaN among the weights": (
        weights(lambda table: table | {"fc.bias": torch.full((10,), NAN)}),
        ValueError,
        "values that are not finite (1): fc.bias",
    ),
    "no file": (
        lambda folder: load_into(folder / "no.pth"),
        FileNotFoundError,
        "no weight file at",
    ),
    "values that the model's type cannot hold": (
        lambda _: ie.load_weights(
            model(),
            model().state_dict()
            | {"fc.bias": torch.full((10,), 1e300, dtype=torch.float64)},
        ),
        ValueError,
        "values that are not finite (1): fc.bias",
    ),
    "weights without memory": (
        lambda _: ie.load_weights(model(), model().to("meta").state_dict()),
        ValueError,
        "fc.bias is on the meta device",
    ),
    "the checkpoint of a training": (
        lambda folder: (
            fit(checkpoint=folder / "run.pt"),
            load_into(folder / "run.pt"),
        ),
        ValueError,
        "Dicts lie inside, under 'identity', 'model', 'optimizer', 'scaler'",
    ),
    "a picture's path for a picture": (
        lambda _: ie.load_pretrained("mini_v4").preprocessing("me.png"),
        TypeError,
        "a PIL image is wanted, got str; PIL.Image.open(path) reads one",
    ),
    "a folder": (lambda folder: load_into(folder), FileNotFoundError, "no weight file"),
    "nothing at all": (
        lambda _: load_into(None),
        TypeError,
        "weights are a state dict or the path of one, got NoneType",
    ),
    "a network for weights": (
        lambda _: load_into(model()),
        TypeError,
        "got Network; pass its state_dict()",
    ),
    "both the wrong way round": (
        lambda _: ie.load_weights(model().state_dict(), model()),
        TypeError,
        "it comes first: load_weights(model, weights)",
    ),
    "pretrained with a slip": (
        lambda _: ie.load_pretrained("inception_v33"),
        ValueError,
        "did you mean inception_v3?",
    ),
}

TRAININGS = {
    "no images": (
        lambda _: ie.digits_at_scale(0),
        ValueError,
        "n=0 must be a whole number from 1",
    ),
    "more images than fit": (
        lambda _: ie.digits_at_scale(10**12),
        ValueError,
        "n=1000000000000 must be a whole number from 1 to 10000000",
    ),
    "images as text": (lambda _: ie.digits_at_scale("6000"), ValueError, "n='6000'"),
    "pictures smaller than digits": (
        lambda _: ie.digits_at_scale(9, size=39),
        ValueError,
        "size=39 must be a whole number from 40 to 400",
    ),
    "half a pixel": (
        lambda _: ie.digits_at_scale(9, size=47.5),
        ValueError,
        "size=47.5 must be a whole number",
    ),
    "a seed too large": (
        lambda _: ie.digits_at_scale(9, seed=2**40),
        ValueError,
        "seed=1099511627776 must be a whole number from 0 to 4294967295",
    ),
    "an unknown data set": (
        lambda _: load_data("mnist"),
        ValueError,
        "choose from digits_at_scale, cifar10, imagenette",
    ),
    "float images": (
        lambda _: Split(images(8, 3, 48, 48, fill=NAN), torch.zeros(8)),
        ValueError,
        "expected uint8",
    ),
    "labels for other images": (
        lambda _: Split(torch.zeros(8, 3, 9, 9, dtype=torch.uint8), torch.zeros(7)),
        ValueError,
        "labels of shape (7,) for 8 images",
    ),
    "images in an array": (
        lambda _: Split(np.zeros((8, 3, 9, 9), np.uint8), torch.zeros(8)),
        TypeError,
        "images of type ndarray: expected a tensor; torch.as_tensor makes one",
    ),
    "labels as floats": (
        lambda _: fit(data_=data(label=0.5)),
        ValueError,
        "labels of type torch.float32: expected whole numbers; pass labels.long()",
    ),
    "test images of another size": (
        lambda _: fit(data_=Data(data().train, tiny(), "two sizes")),
        ValueError,
        "the model does not take images of shape (3, 4, 4)",
    ),
    "a network that returns a table": (
        lambda _: fit(Table()),
        ValueError,
        "the model returns a dict; expected a tensor of (images, 10)",
    ),
    "a name to be evaluated": (
        lambda _: ie.training.evaluate("mini_v3", data()),
        TypeError,
        "evaluate takes a module and data, not str and Data",
    ),
    "a batch of none to be evaluated": (
        lambda _: ie.training.evaluate(model(), data(), batch_size=0),
        ValueError,
        "batch_size=0 must be a whole number from 1",
    ),
    "one image where a batch is asked": (
        lambda _: as_input(torch.zeros(3, 48, 48, dtype=torch.uint8)),
        ValueError,
        "not (3, 48, 48)",
    ),
    "images without labels for a split": (
        lambda _: Data(images(8, 3, 4, 4), tiny(), "x"),
        TypeError,
        "expected Split(images, labels)",
    ),
    "a number of classes for their names": (
        lambda _: Data(tiny(), tiny(), "x", classes=10),
        TypeError,
        "classes=10: expected their names",
    ),
    "scales in a list": (
        lambda _: Split(tiny().images, tiny().labels, [1, 2]),
        TypeError,
        "scales of type list",
    ),
    "claims on a network that is not there": (
        lambda _: ie.papers.figures(network="inception-v5"),
        ValueError,
        "network='inception-v5' is nowhere",
    ),
    "text for a clip": (
        lambda _: ie.recipes.quick.but(clip="2"),
        ValueError,
        "clip='2' must be above 0",
    ),
    "a table that is none of runs": (
        file("x.csv", b"a,b\n1,2", lambda path: missing_runs(PLAN, path, KEY)),
        ValueError,
        "x.csv is not a table of these runs",
    ),
    "a file of another kind for a table of runs": (
        file("x.json", b'{"a": 1}', lambda path: missing_runs(PLAN, path, KEY)),
        ValueError,
        "x.json is not a table of these runs",
    ),
    "bytes for a table of runs": (
        file("x.csv", b"\xff\xfe\x00", lambda path: missing_runs(PLAN, path, KEY)),
        ValueError,
        "x.csv is not a table of these runs",
    ),
    "a network that answers in words": (
        lambda _: ie.explore.feature_maps(Wordy()),
        ValueError,
        "the model's output 'a cat' is no list of finite class scores",
    ),
    "a number for a callback": (
        lambda _: fit(callback=3),
        TypeError,
        "callback=3 cannot be used; pass a function of the history",
    ),
    "a device without memory": (
        lambda _: fit(device="meta"),
        ValueError,
        "device='meta' cannot be used here",
    ),
    "a checkpoint of nobody": (
        lambda folder: (
            checkpoint.save_checkpoint({"identity": None}, folder / "run.pt"),
            fit(checkpoint=folder / "run.pt"),
        ),
        ValueError,
        "cannot be read (TypeError); delete the file",
    ),
    "a network for a design": (
        lambda folder: Contest(folder=folder).enter("mine", model()),
        TypeError,
        "build is a Network; pass the function or the class that makes the network",
    ),
    "an untrained name with a slip": (
        lambda _: fit("mini_reducd"),
        ValueError,
        "did you mean mini_reduced",
    ),
    "a class to train": (
        lambda _: fit(nn.Linear),
        TypeError,
        "model=<class 'torch.nn.modules.linear.Linear'> cannot be used",
    ),
    "no data": (
        lambda _: fit(data_=[1]),
        TypeError,
        "data=[1] cannot be used; pass digits_at_scale()",
    ),
    "a recipe's name": (
        lambda _: fit(recipe="quick"),
        TypeError,
        "recipe='quick' cannot be used; pass recipes.quick",
    ),
    "no epochs": (lambda _: fit(epochs=0), ValueError, "epochs=0 must be a whole"),
    "epochs without end": (lambda _: fit(epochs=INF), ValueError, "epochs=inf"),
    "a seed as text": (lambda _: fit(seed="0"), ValueError, "seed='0' must be a whole"),
    "a device with a slip": (
        lambda _: fit(device="gpu"),
        ValueError,
        "device='gpu' cannot be used here",
    ),
    "one training image": (
        lambda _: fit(data_=data(n=1)),
        ValueError,
        "1 training images: at least 2 are needed",
    ),
    "labels beyond the classes": (
        lambda _: fit(data_=data(label=10)),
        ValueError,
        "labels from 10 to 10: expected 0 to 9",
    ),
    "fewer outputs than classes": (
        lambda _: fit(model(num_classes=9)),
        ValueError,
        "build it with num_classes=10",
    ),
    "a checkpoint in no folder": (
        lambda folder: fit(checkpoint=folder / "no" / "run.pt"),
        FileNotFoundError,
        "must be a file in an existing folder",
    ),
    "a folder for a checkpoint": (
        lambda folder: fit(checkpoint=folder),
        FileNotFoundError,
        "must be a file in an existing folder",
    ),
    "a pipe for a checkpoint": (
        lambda folder: fit(checkpoint=pipe(folder / "run.pt")),
        FileNotFoundError,
        "must be a file in an existing folder",
    ),
    "a checkpoint that runs code": (
        file("run.pt", bomb, lambda path: fit(checkpoint=path)),
        ValueError,
        "cannot be read (UnpicklingError); delete the file",
    ),
    "another network's checkpoint": (
        lambda folder: (
            checkpoint.save_checkpoint({"identity": {"seed": 7}}, folder / "run.pt"),
            fit(checkpoint=folder / "run.pt"),
        ),
        ValueError,
        "belongs to another training",
    ),
    "a switch with a slip": (
        lambda _: ie.recipes.quick.but(learnig_rate=0.1),
        TypeError,
        "no switch 'learnig_rate'; did you mean learning_rate?",
    ),
    "a negative rate": (
        lambda _: ie.recipes.quick.but(learning_rate=-1),
        ValueError,
        "learning_rate=-1 must lie between 0 and inf",
    ),
    "a rate as text": (
        lambda _: ie.recipes.quick.but(learning_rate="0.1"),
        ValueError,
        "learning_rate='0.1' must lie between",
    ),
    "a rate of NaN": (
        lambda _: ie.recipes.quick.but(learning_rate=NAN),
        ValueError,
        "learning_rate=nan must lie between",
    ),
    "batches of one": (
        lambda _: ie.recipes.quick.but(batch_size=1),
        ValueError,
        "batch normalization needs more than one image",
    ),
    "an optimizer with a slip": (
        lambda _: ie.recipes.quick.but(optimizer="adm"),
        ValueError,
        "choose 'sgd' or 'adamw' or 'rmsprop' or 'rmsprop_tf'",
    ),
    "a row of other columns": (
        lambda folder: (
            add_rows(folder / "x.csv", [{"a": 1}]),
            add_rows(folder / "x.csv", [{"b": 1}]),
        ),
        ValueError,
        "name another file with --out",
    ),
    "an unknown experiment": (lambda _: results("laddr"), ValueError, "stored: "),
}

EXPLORERS = {
    "frames of no control": (
        lambda _: ie.explore.module(frames={"kernal": [3]}),
        ValueError,
        "the module explorer has no control 'kernal'",
    ),
    "a number of frames": (
        lambda _: ie.explore.module(frames=3),
        ValueError,
        "frames=3 must be True, False, or a dict of values by control",
    ),
    "a list of trainings": (
        lambda _: ie.explore.training([History("m")]),
        TypeError,
        "training takes what fit returns",
    ),
    "feature maps of nothing": (
        lambda _: ie.explore.feature_maps(None),
        TypeError,
        "feature_maps takes a network, or the name of a trained one, got None",
    ),
}

CASES = {
    f"{kind}: {name}": case
    for kind, cases in (
        ("model", MODELS),
        ("input", INPUTS),
        ("trace", TRACES),
        ("weights", WEIGHTS),
        ("training", TRAININGS),
        ("explorer", EXPLORERS),
    )
    for name, case in cases.items()
}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("call", "error", "words"), CASES.values(), ids=CASES)
def test_bad_input_is_refused_in_words(call, error, words, tmp_path, monkeypatch):
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "cache"))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("a year of work", encoding="utf-8")
    start = time.monotonic()
    with pytest.raises(error) as refused:
        call(mine)
    said = str(refused.value)
    assert words in said
    assert "weights_only" not in said  # torch's advice to run the code after all
    assert time.monotonic() - start < 20
    left = contents(mine)
    assert left.pop(mine / "notes.txt") == b"a year of work"
    assert not any(path.name == "it-ran" or ".part" in path.name for path in left)
    assert not (tmp_path / "cache").exists()


def test_labels_may_be_whole_numbers_of_any_width():
    narrow = data().train
    narrow = Split(narrow.images, narrow.labels.int())
    assert fit(data_=Data(narrow, narrow, "narrow")).loss


def test_there_are_many_of_them():
    assert len(CASES) >= 60


def test_the_bomb_is_a_real_one(tmp_path):
    pickle.loads(bomb(tmp_path))
    assert (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("fill", [NAN, INF])
def test_an_image_that_is_no_number_spoils_its_own_answer_alone(fill):
    """A network passes it on, as arithmetic does; its neighbors do not notice."""
    network = model().eval()
    batch = torch.randn(3, 3, 48, 48)
    clean = network(batch)
    batch[1, :, 20:30, 20:30] = fill
    answer = network(batch)
    assert not answer[1].isfinite().any()
    assert torch.allclose(answer[[0, 2]], clean[[0, 2]], atol=1e-5)


# --- a disk that is full, a folder that cannot be written ----------------------------


def full(*args, **options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("run.pt", lambda path: checkpoint.save_checkpoint({"a": 1}, path)),
        ("x.svg", lambda path: ie.diagram(model()).save(path)),
        ("x.png", lambda path: ie.diagram(model()).save(path)),
        ("x.pdf", lambda path: ie.diagram(model()).save(path)),
    ],
)
def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, name, save):
    path = tmp_path / name
    save(path)
    before = contents(tmp_path)
    monkeypatch.setattr(os, "fsync", full)  # as late as can be
    with pytest.raises(OSError, match="No space left"):
        save(path)
    assert contents(tmp_path) == before


def write(path, text):
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link_and_a_private_file_private(tmp_path):
    path, link = tmp_path / "run.json", tmp_path / "mine.json"
    write(path, "old")
    path.chmod(0o600)
    link.symlink_to(path)
    write(link, "new")
    assert link.is_symlink() and path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_read_only_is_not_replaced(tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is played."""
    path = tmp_path / "run.json"
    write(path, "old")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(PermissionError, match=r"run\.json is read-only"):
        write(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["run.json"]


def test_a_full_disk_ends_a_training_with_the_last_checkpoint_whole(
    tmp_path, monkeypatch
):
    path, recipe = tmp_path / "run.pt", ie.recipes.quick.but(batch_size=4)
    straight = fit(recipe=recipe, epochs=2)
    real = SimpleNamespace(fsync=os.fsync, calls=0)

    def fills_up(handle):
        real.calls += 1
        return real.fsync(handle) if real.calls == 1 else full()

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(OSError, match="No space left"):
        fit(recipe=recipe, epochs=2, checkpoint=path)
    monkeypatch.undo()
    resumed = fit(recipe=recipe, epochs=2, checkpoint=path)
    assert resumed.loss == straight.loss
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_whole_numbers_of_numpy_are_whole_numbers(tmp_path):
    one, ten = np.int64(1), np.int32(10)
    assert len(ie.digits_at_scale(np.int64(30), n_test=ten).test) == 10
    network = ie.create_model("mini_reduced", ten)
    assert network(images(2, 3, 48, 48)).shape == (2, 10)
    path, options = tmp_path / "run.pt", {"epochs": one, "seed": np.int64(0)}
    first = fit("mini_reduced", checkpoint=path, **options)
    assert fit("mini_reduced", checkpoint=path, **options).loss == first.loss


def test_a_folder_that_takes_no_checkpoint_is_told_of_before_the_work(
    tmp_path, monkeypatch
):
    """Root may write anywhere, so the refusal is played."""
    monkeypatch.setattr(checkpoint.tempfile, "TemporaryFile", full)
    network = model()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(PermissionError, match="no file can be written to its folder"):
        fit(network, checkpoint=tmp_path / "run.pt")
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


@pytest.mark.skipif(os.name == "nt", reason="folders are read-only elsewhere")
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is played."""
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Path, "mkdir", full)
    assert len(ie.digits_at_scale(30, n_test=10).train) == 30
