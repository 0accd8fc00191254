"""Whatever people write in a forward is counted.

MACs and shapes are compared with torch's FlopCounterMode around a real forward.
"""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from inception_edu.cost import ShapeError, trace
from tests.models import Model, Work, keep

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
IMAGE = (1, 3, 8, 8)


def real(model, *shapes):
    """`(MACs, output shape)` of a real forward, by torch's own counter."""
    model = copy.deepcopy(model).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        answer = model(*map(torch.randn, shapes))
    return counter.get_total_flops() // 2, tuple(answer.shape)


def assert_as_real(model, shape=IMAGE):
    expected = real(model, shape)
    seen = trace(model, shape)
    assert (seen.macs, seen.output_shape) == expected
    return seen


def read_by_output(seen):
    """Paths of the operations that the output depends on."""
    found, waiting = set(), list(seen.outputs)
    while waiting:
        op = seen.ops[waiting.pop()]
        found.add(op.path)
        waiting += op.inputs
    return found


# ---- code that torch runs past Python ---------------------------------------------


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)


class Scaled(torch.autograd.Function):
    """In torch's newer form, with several results."""

    @staticmethod
    def forward(x, weight, factor):
        return F.conv2d(x, weight) * factor, x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[2]


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)


PARTS = {
    "function": lambda m, x: Swish.apply(m.conv(x)),
    "newer function": lambda m, x: Scaled.apply(x, m.conv.weight, 2.0)[0],
    "function in place": lambda m, x: Doubled.apply(m.conv(x)),
    "reentrant": lambda m, x: checkpoint(m.conv, x, use_reentrant=True),
    "vmap": lambda m, x: torch.vmap(lambda i: F.conv2d(i[None], m.conv.weight)[0])(x),
    "vmap over weights": lambda m, x: torch.vmap(partial(F.conv2d, x))(
        torch.stack([m.conv.weight] * 5)
    ),
    "gradient": lambda m, x: torch.func.grad(
        lambda v: (F.conv2d(v, m.conv.weight) * F.conv2d(x, m.conv.weight)).sum()
    )(x),
    "derivative": lambda m, x: torch.func.jvp(
        lambda v: F.conv2d(v, m.conv.weight), (x,), (x,)
    )[1],
    "not reentrant": lambda m, x: checkpoint(m.conv, x, use_reentrant=False),
}


@pytest.mark.parametrize("name", PARTS)
def test_autograd_functions_and_checkpoints_are_counted(name):
    seen = assert_as_real(Model(PARTS[name]))
    assert read_by_output(seen) and seen.params <= seen.params_built


def test_a_module_called_for_the_gradient_of_its_weights_is_counted_twice():
    """In closed form: torch 2.4's own counter stops at a module inside a gradient."""
    seen = trace(
        Model(
            lambda m, x: torch.func.grad(
                lambda own: functional_call(m.conv, own, (x,)).sum()
            )(dict(m.conv.named_parameters()))["weight"]
        ),
        IMAGE,
    )
    assert (seen.macs, seen.output_shape) == (2 * 4 * 27 * 64, (4, 3, 3, 3))
    assert read_by_output(seen) and seen.params <= seen.params_built


def test_gradients_that_a_trace_has_not_are_refused_with_what_has_them():
    def slope(m, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(m.conv(x).sum(), x)[0]

    with pytest.raises(ShapeError, match=r"grad .* torch\.func\.grad .* can be traced"):
        trace(Model(slope), IMAGE)


@pytest.mark.parametrize("way", ["script", "trace"])
def test_scripted_parts_are_counted(way):
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    part = nn.Sequential(*layers, nn.Linear(144, 5)).eval()
    scripted = (
        torch.jit.script(part)
        if way == "script"
        else torch.jit.trace(part, torch.randn(IMAGE))
    )
    seen = trace(nn.Sequential(scripted), IMAGE)
    assert (seen.macs, seen.output_shape) == real(part, IMAGE)
    assert seen.params == seen.params_built == trace(part, IMAGE).params


def test_a_scripted_part_in_train_mode_is_left_as_it_was():
    part = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    for aux in (False, True):
        trace(nn.Sequential(part), IMAGE, aux=aux)
    assert part.training and not part.state_dict()["1.num_batches_tracked"]


def test_compiled_parts_are_counted_under_their_own_path():
    model = nn.Sequential(torch.compile(nn.Sequential(nn.Conv2d(3, 4, 3))), nn.ReLU())
    seen = trace(model, IMAGE)
    assert [op.path for op in seen.ops] == ["", "0.0", "1"]
    twice = torch.compile(lambda x: F.relu(x) * 2)
    assert trace(Model(lambda m, x: twice(m.conv(x))), IMAGE).macs == 4 * 27 * 64


@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True}])
def test_attention_is_counted(options):
    model = Work(lambda x: model.attention(x, x, x)[0])
    model.attention = nn.MultiheadAttention(32, 4, **options, device="meta")
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(5, 2, 32, device="meta"))
    seen = trace(model, (5, 2, 32))
    assert seen.macs == counter.get_total_flops() // 2
    assert seen.params == seen.params_built and not seen.unknown


def test_a_packed_sequence_has_the_shape_that_torch_gives():
    def both_ways(x):
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 3]))
        return nn.utils.rnn.pad_packed_sequence(model.lstm(packed)[0])[0]

    model = Work(both_ways)
    model.lstm = nn.LSTM(6, 5)
    assert trace(model, (7, 2, 6)).output_shape == (7, 2, 5)


# ---- layers made in the forward, hooks, buffers ---------------------------------


def classify(m, x):
    x = m.conv(x).flatten(1)
    if m.head is None:
        m.head = nn.Linear(x.shape[1], 10)
    return m.head(x)


def append(m, x):
    if not m.head:
        m.head.append(nn.Conv2d(4, 4, 1))
    return m.head[0](m.conv(x))


def scale(m, x):
    x = m.conv(x)
    if m.head is None:
        m.head = nn.Parameter(torch.ones(x.shape[1], 1, 1))
    return x * m.head


def in_list(m, x):
    if not len(m.head):
        m.head.append(torch.ones(4, 1, 1))
    return m.conv(x) * m.head[0]


@pytest.mark.parametrize(
    ("forward", "setup", "more"),
    [
        (classify, keep("head", lambda: None), 2570),
        (append, keep("head", nn.ModuleList), 20),
        (scale, lambda m: m.register_parameter("head", None), 4),
        (in_list, keep("head", nn.ParameterList), 4),
    ],
)
def test_layers_made_in_the_forward_count_and_stay(forward, setup, more):
    model = Model(forward, setup)
    seen = trace(model, IMAGE)
    there = sum(parameter.numel() for parameter in model.parameters())
    assert seen.params == seen.params_built == there == 112 + more
    assert trace(model, IMAGE).ops == seen.ops
    assert torch.isfinite(model(torch.randn(IMAGE))).all()


def test_what_a_forward_makes_stays_though_it_is_not_called():
    def grow(m, x):
        m.unused, m.scales = nn.Linear(3, 4), nn.ParameterList([torch.ones(4)])
        return m.conv(x) * m.scales[0].view(1, -1, 1, 1)

    model = Model(grow)
    assert trace(model, IMAGE).params_built == 112 + 16 + 4
    assert isinstance(model.unused, nn.Linear) and len(model.scales) == 1


def test_a_copy_of_another_kind_is_an_operation():
    seen = trace(Work(lambda x: torch.ops.aten.copy(x, x * 2)), IMAGE)
    assert seen.output_shape == IMAGE


def test_a_parameter_made_like_an_input_counts_and_is_made_again():
    def shift(m, x):
        x = m.conv(x)
        if m.head is None:
            m.head = nn.Parameter(torch.zeros_like(x))
        return x + m.head

    model = Model(shift, lambda m: m.register_parameter("head", None))
    for _ in range(2):
        seen = trace(model, IMAGE)
        assert seen.params == seen.params_built == 112 + 4 * 8 * 8
    assert torch.isfinite(model(torch.randn(IMAGE))).all()


def pads(module, inputs):
    return (F.pad(inputs[0], (2, 2, 2, 2)),)


def halves(module, inputs, output):
    return output[:, :, ::2, ::2]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_hooks_that_change_values_are_run(place):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential())
    model[2].append(nn.Conv2d(4, 4, 3, padding=1))
    model[place].register_forward_pre_hook(pads)
    model[place].register_forward_hook(halves)
    assert_as_real(model)


def test_hooks_of_every_module_are_run():
    handle = nn.modules.module.register_module_forward_hook(
        lambda m, i, out: out[:, :, 1:] if isinstance(m, nn.Conv2d) else None
    )
    try:
        assert_as_real(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)))
    finally:
        handle.remove()


def real_buffer(m, x):
    out = torch.zeros(x.shape[0], 32, *x.shape[2:])
    out[:, :8].copy_(m.a(x))
    out[:, 8:] += m.b(x)
    return out


def new_buffer(m, x):
    out = x.new_empty(x.shape[0], 32, *x.shape[2:])
    out[:, :8], out[:, 8:] = m.a(x), m.b(x)
    return out


def real_parts(m, x):
    out = torch.empty(x.shape[0], 32, *x.shape[2:])
    first, second = out[:, :8], out[:, 8:]
    first[...], second[...] = m.a(x), m.b(x)
    return out


def narrowed(m, x):
    out = torch.zeros_like(x).repeat(1, 2, 1, 1)
    out.narrow(1, 0, 8).copy_(m.a(x))
    out.narrow(1, 8, 24).copy_(m.b(x))
    return out


def by_data(m, x):
    out = torch.zeros(x.shape[0], 32, *x.shape[2:])
    out.data[:, :8] = m.a(x)
    out.data[:, 8:].copy_(m.b(x))
    return out


def replaced_data(m, x):
    out = torch.zeros(x.shape[0], 32, *x.shape[2:])
    out.data = torch.cat([m.a(x), m.b(x)], 1)
    return out


def out_argument(m, x):
    out = torch.empty(x.shape[0], 32, *x.shape[2:])
    torch.cat([m.a(x), m.b(x)], 1, out=out)
    return out


def by_mask(m, x):
    out = torch.empty(x.shape[0], 32, *x.shape[2:])
    out[torch.ones_like(out) > 0] = torch.cat([m.a(x), m.b(x)], 1).flatten()
    return out


@pytest.mark.parametrize(
    "write",
    [
        real_buffer,
        new_buffer,
        real_parts,
        narrowed,
        out_argument,
        by_mask,
        by_data,
        replaced_data,
    ],
)
def test_what_is_written_into_a_buffer_has_edges(write):
    def setup(m):
        m.a, m.b, m.c = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 24, 1), nn.Conv2d(32, 4, 1)

    model = Model(lambda m, x: m.c(write(m, x)), setup)
    seen = assert_as_real(model, (1, 16, 9, 9))
    assert {"a", "b", "c"} <= read_by_output(seen)
    assert "side head" not in ie.diagram(seen).text
    assert (
        "  32 -> 1x1 -> 4" in ie.diagram(seen).text or "= 32" in ie.diagram(seen).text
    )
