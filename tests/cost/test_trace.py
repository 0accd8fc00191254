"""The tracer against torch's own counter, real forward passes and gradients."""

import copy
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from inception_edu.cost import ShapeError, trace
from inception_edu.files import read_rows
from tests.models import Work


class Mixed(nn.Module):
    """Two inputs, two outputs, a reused layer and a residual addition."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(8, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 16, 3, padding=2, dilation=2, groups=4)
        self.tall = nn.Conv2d(16, 16, (7, 1), padding=(3, 0))
        self.up = nn.ConvTranspose2d(16, 4, 4, stride=2, padding=1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x, y):
        x = F.relu(self.shared(x)) + self.shared(y)
        x = torch.cat([self.tall(self.grouped(x)), x[:, :, :, :]], 1)[:, :16]
        pooled = x.mean((2, 3))
        scores = F.softmax(pooled @ pooled.T, -1)
        return {"logits": self.fc(pooled), "map": self.up(x), "scores": scores}


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.query = nn.Linear(32, 32)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.encoder(x)
        q = self.query(x).unflatten(-1, (4, 8)).transpose(1, 2)
        x = F.scaled_dot_product_attention(q, q, q)
        return torch.einsum("bhld,bhmd->bhlm", x, q).mean((1, 2))


def torch_macs(model, *shapes):
    """torch's FlopCounterMode on the meta device, halved: the second opinion."""
    model = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        model(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops() // 2


NETWORKS = {
    "googlenet": (lambda: ie.create_model("googlenet"), [(1, 3, 224, 224)]),
    "torchvision layout": (
        lambda: ie.create_model("googlenet", layout="torchvision"),
        [(1, 3, 192, 160)],
    ),
    "mixed": (Mixed, [(2, 8, 12, 9), (2, 8, 12, 9)]),
    "transformer": (Transformer, [(2, 3, 32, 40)]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_macs_equal_torchs_own_counter_and_shapes_a_real_forward_pass(name):
    build, shapes = NETWORKS[name]
    model = build().eval()
    seen = trace(model, *shapes)
    assert seen.macs == torch_macs(model, *shapes)
    answer = model(*(torch.randn(shape) for shape in shapes))
    answer = list(answer.values()) if isinstance(answer, dict) else [answer]
    assert seen.output_shapes == [tuple(a.shape) for a in answer]


# Totals on which torch's FlopCounterMode on the meta device, a dispatch mode and plain
# arithmetic agree.
REFERENCES = read_rows(Path(__file__).parents[1] / "data" / "reference_costs.csv")


@pytest.mark.parametrize("row", REFERENCES, ids=lambda row: row["network"])
def test_reference_network_costs_what_three_counters_agree_on(row):
    peer, size = pytest.importorskip(row["library"]), int(row["size"])
    make = peer.create_model if row["library"] == "timm" else peer.models.get_model
    seen = trace(make(row["network"]), (1, 3, size, size))
    found = seen.params_built, seen.params, seen.macs
    columns = ("params_built", "params_used", "macs")
    assert found == tuple(int(row[column]) for column in columns)
    assert seen.unknown == []
    if row["field_before_pool"]:
        assert seen.receptive_field == (int(row["field_before_pool"]),) * 2


SHAPE_WORK = {
    "index": lambda x: x[:, torch.tensor([[0, 1], [2, 3]])],
    "stride": lambda x: x[:, :, ::2, 1:],
    "chunks": lambda x: torch.cat([part * 2 for part in x.chunk(4, 1)], 2)[:, :1],
    "permute": lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, 8),
    "stack": lambda x: torch.stack(x.unbind(1), -1),
    "upsample": lambda x: F.interpolate(x, scale_factor=2) + 1,
    "pad": lambda x: F.pad(x, (1, 2, 3, 4)) ** 2,
    "zeros": lambda x: x + torch.zeros_like(x) + x.new_ones(1, 8, 1, 1),
    "mean": lambda x: 1 - x.mean((-1, -2), keepdim=True) * x,
    "indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "ceil": lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "deviation": lambda x: x.std(1, True, True) + x.std(False),
    "windows back": lambda x: F.fold(F.unfold(x, 3, padding=1), (12, 10), 3, padding=1),
    "window view": lambda x: x.unfold(2, 3, 2),
    "in place": lambda x: x.clone().__itruediv__(2).__ifloordiv__(3).__imod__(2),
    "from the right": lambda x: +(2 // (1 + x.abs())) + 2 % (1 + x.abs()) + 1 / x,
    "best of all": lambda x: x[torch.arange(2)[:, None], x.flatten(2).argmax(2) % 8],
    # By torch's own semantics: named results, numpy's names, joins, masks.
    "named values": lambda x: x.max(dim=1, keepdim=True).values,
    "axis": lambda x: torch.max(x, axis=1)[0] + x.sum(axis=1),
    "keepdims": lambda x: torch.mean(x, axis=1, keepdims=True),
    "hstack": lambda x: torch.hstack([x, x]),
    "where": lambda x: torch.where(x > 0, x, torch.zeros_like(x)),
    "real mask": lambda x: x[:, torch.tensor([True] * 3 + [False] * 5)],
    "real repeats": lambda x: x.repeat_interleave(torch.tensor([1, 2]), 0),
    "unpool": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2),
    "iterate": lambda x: torch.cat([part[None] for part in x]),
    "sizes": lambda x: x.reshape(len(x), x.shape[1] // 2, 2, *x.size()[2:]),
    "casts": lambda x: x.to("cpu").half().type_as(x).to(x.device),
    "last axes": lambda x: x[..., None, 1:, [0, 1]],
    "copies": lambda x: copy.deepcopy(x) + x.data + x.mT.mT,
}


@pytest.mark.parametrize("name", SHAPE_WORK)
def test_shape_work_gives_the_shapes_that_torch_gives(name):
    model = Work(SHAPE_WORK[name])
    seen = trace(model, (2, 8, 12, 10))
    assert seen.output_shape == tuple(model(torch.randn(2, 8, 12, 10)).shape)
    assert not seen.unknown


class Aside(nn.Module):
    """Attention whose bias comes from tables and a small network, not the image."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.table = nn.Module()  # never called: its table is read from here
        self.table.bias = nn.Parameter(torch.randn(9, 2))
        self.table.unread = nn.Parameter(torch.randn(5))
        self.position = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
        self.grid = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        bias = self.position(torch.ones(4, 4, 2)) + self.table.bias[:4][:, None]
        bias = bias.permute(2, 0, 1) + self.grid(torch.ones(1, 4, 4, 4))[0]
        bias = bias + (self.table.bias.T @ torch.ones(9, 1))[..., None]
        size = len(self.table.unread) + self.table.unread.shape[0]
        q = self.query(x).unflatten(-1, (2, 4)).transpose(1, 2)
        return (q @ q.transpose(2, 3) / size + bias[:, None, 0]).softmax(-1)


def test_what_is_computed_without_the_image_counts_too():
    model = Aside()
    with FlopCounterMode(display=False) as counter:
        answer = model(torch.randn(1, 4, 8))
    seen = trace(model, (1, 4, 8))
    assert seen.macs == counter.get_total_flops() // 2
    assert seen.output_shape == tuple(answer.shape)
    assert seen.params == seen.params_built - 5  # its length alone is read
    assert "table.unread" not in [op.path for op in seen.ops]
    assert sum(row.params for row in seen.by_module()) == seen.params
    assert sum(row.macs for row in seen.by_module()) == seen.macs


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_count_every_step(layer, both):
    options = {"num_layers": 2, "batch_first": both, "bidirectional": both}
    model, shape = layer(6, 5, **options), (4, 7, 6)
    seen = trace(model, shape)
    assert not seen.unknown
    assert seen.macs == torch_macs(model, shape)
    assert seen.params == sum(p.numel() for p in model.parameters())
    output, state = model(torch.randn(shape))
    state = state if isinstance(state, tuple) else (state,)
    assert seen.output_shapes == [tuple(t.shape) for t in (output, *state)]


def test_the_rows_of_every_depth_have_the_totals():
    seen = trace(ie.create_model("googlenet"), (1, 3, 224, 224))
    assert seen.flops == 2 * seen.macs
    for depth in (1, 2, 3):
        rows = seen.by_module(depth)
        assert sum(row.macs for row in rows) == seen.macs
        assert sum(row.params for row in rows) == seen.params
        assert sum(row.activation_bytes for row in rows) == seen.activation_bytes


def test_a_reused_layer_counts_its_weights_once_and_its_work_twice():
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    seen = trace(nn.Sequential(layer, layer), (1, 4, 6, 6))
    assert seen.params == 4 * 4 * 9
    assert seen.macs == 2 * 4 * 4 * 9 * 36


def test_edges_name_the_operations_read():
    residual = Work(lambda x: x + 0.17 * residual.conv(x))
    residual.conv = nn.Conv2d(3, 3, 1)
    ops = trace(residual, (1, 3, 4, 4)).ops
    assert [op.kind for op in ops] == ["input", "conv", "mul", "add"]
    assert ops[3].inputs == (0, 2)
    assert [op.constant for op in ops] == [None, None, 0.17, None]


# ---- receptive fields ------------------------------------------------------------


def test_padding_by_name_or_by_a_layer_of_its_own_keeps_the_field():
    """`test_random_networks.py` follows the gradient for all other windows."""
    layers = [nn.Conv2d(1, 1, (2, 5), padding="same"), nn.ZeroPad2d(3)]
    seen = trace(nn.Sequential(*layers), (1, 1, 64, 64))
    assert seen.receptive_field == (2, 5)


# ---- nothing is computed, nothing is left behind ------------------------------------


def test_the_model_is_left_as_it_was():
    model = ie.create_model("googlenet", aux=True, norm="batch").train()
    model.inception_3a.eval()
    calls = []
    model.conv1.register_forward_hook(lambda *args: calls.append(args))
    modes = {name: module.training for name, module in model.named_modules()}
    state = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    trace(model, (1, 3, 224, 224), aux=True)
    assert modes == {name: module.training for name, module in model.named_modules()}
    assert not calls and len(model.conv1._forward_hooks) == 1
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert nn.Module._call_impl is trace.__globals__["MODULE_CALL"]


def test_the_mode_is_put_back_after_an_error():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3)).train()
    with pytest.raises(ShapeError, match=r"in 1: expects 5 input channels.* 4"):
        trace(model, (1, 3, 8, 8))
    assert model.training and model[0].training
    assert nn.Module._call_impl is trace.__globals__["MODULE_CALL"]


def test_a_trace_computes_nothing():
    huge = Work(lambda x: F.relu(F.avg_pool2d(x, 3, 1, 1)) + x)
    seen = trace(huge, (1, 1_000_000, 100_000, 100_000))  # 40 petabytes
    assert seen.output_shape == (1, 1_000_000, 100_000, 100_000)


def test_another_thread_may_run_a_model_meanwhile():
    model, image = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU()), torch.ones(1, 1, 8, 8)
    expected, wrong, stop = model(image), [], threading.Event()

    def run():
        while not stop.is_set():
            if not torch.equal(model(image), expected):
                wrong.append(True)

    worker = threading.Thread(target=run)
    worker.start()
    for _ in range(200):
        trace(model, (1, 1, 8, 8))
    stop.set()
    worker.join()
    assert not wrong


# ---- what is not known, what does not fit --------------------------------------------


def test_an_unknown_operation_is_listed_by_name_and_shape():
    seen = trace(Work(lambda x: F.relu(torch.cdist(x, x))), (1, 5, 7))
    assert [(op.kind, op.out_shape) for op in seen.unknown] == [("cdist", (1, 5, 5))]
    assert "no rule for cdist" in repr(seen)
    assert seen.output_shape == (1, 5, 5)


def test_a_name_prints_without_what_a_terminal_would_obey():
    model = Work(F.relu)
    model.name = "run\x1b[1m 7"
    assert repr(trace(model, (1, 5))).startswith("<Trace run\ufffd[1m 7 on 1x5")


def test_the_models_own_error_comes_through_with_the_path():
    picky = Work({}.__getitem__)
    with pytest.raises(KeyError) as caught:
        trace(nn.Sequential(nn.Identity(), picky), (1, 3, 8, 8))
    assert caught.value.module_path == "1"
    assert "module 1" in caught.value.__notes__[0]


def test_a_compiled_part_is_traced_as_it_was_and_stays_compiled():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 5, 1)))
    plain = trace(model, (1, 3, 8, 8))
    calls = []
    for part in (model, model[1], model[1][0]):
        part._compiled_call_impl = calls.append  # as `Module.compile` sets it
    seen = trace(model, (1, 3, 8, 8))
    assert seen.ops == plain.ops and calls == []
    assert all(m._compiled_call_impl for m in (model, model[1], model[1][0]))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_layers_further_parameters_are_counted():
    conv = nn.Conv2d(3, 4, 3)
    conv.register_parameter("scale", nn.Parameter(torch.zeros(7)))
    normed = nn.utils.weight_norm(nn.Conv2d(4, 4, 3))
    seen = trace(nn.Sequential(conv, normed), (1, 3, 8, 8))
    assert seen.params == seen.params_built == (112 + 7) + (148 + 4)
