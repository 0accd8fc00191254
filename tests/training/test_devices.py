"""What a device decides, as tables; and a training on a device that runs out."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from inception_edu import isolation
from inception_edu.training import devices, evaluation, loop
from inception_edu.training.devices import thread_count
from inception_edu.training.evaluation import evaluate
from inception_edu.training.loop import fit
from inception_edu.training.recipes import Recipe

CONTIGUOUS = torch.contiguous_format
RECIPE = Recipe(name="test", learning_rate=0.05, batch_size=16, epochs=2)


@pytest.mark.parametrize(
    ("kind", "native", "expected"),
    [
        ("cuda", True, torch.bfloat16),  # Ampere and later; ROCm
        ("cuda", False, torch.float16),  # T4, V100: emulated there, and slow
        ("mps", True, None),
        ("cpu", True, None),
    ],
)
def test_half_precision_is_used_where_it_pays(monkeypatch, kind, native, expected):
    def supported(including_emulation=True):
        return including_emulation or native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    assert devices.precision(torch.device(kind)) is expected


@pytest.mark.parametrize(
    ("kind", "side", "asked", "expected"),
    [
        ("cpu", 64, None, 1),
        ("cpu", 65, None, None),
        ("cpu", 48, 2, 2),
        ("cuda", 48, None, None),
    ],
)
def test_small_images_take_one_cpu_thread_unless_asked(kind, side, asked, expected):
    images = torch.empty(1, 3, side, 8)
    assert thread_count(torch.device(kind), images, asked) == expected


def test_images_move_to_the_device_if_they_leave_room_there(data, network, monkeypatch):
    size, meta = data.train.images.nbytes, torch.device("meta")
    training = loop.Training(network(), data, RECIPE, 1, 0, torch.device("cpu"))
    training.device = meta
    for room, expected in ((size, meta), (size - 1, torch.device("cpu"))):
        monkeypatch.setattr(loop, "ON_DEVICE", room)
        assert training.on_device(data.train).images.device == expected


@pytest.mark.parametrize(
    ("accelerator", "cuda", "mps", "expected"),
    [
        ("xpu", False, False, "xpu"),
        (None, True, False, None),  # torch's own answer is taken
        ("missing", True, True, "cuda"),  # torch before 2.6
        ("missing", False, True, "mps"),
    ],
)
def test_the_accelerator_is_torchs(monkeypatch, accelerator, cuda, mps, expected):
    class Accelerator:
        is_available = staticmethod(lambda: accelerator is not None)
        current_accelerator = staticmethod(lambda: torch.device(accelerator))

    given = None if accelerator == "missing" else Accelerator
    monkeypatch.setattr(torch, "accelerator", given, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert devices.available_accelerator() == expected


def test_threads_are_restored_and_one_is_used_inside(data, network):
    torch.set_num_threads(2)
    model, seen = network(), set()
    model.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    fit(model, data, RECIPE, progress=False)
    evaluate(model, data)
    assert (seen, torch.get_num_threads()) == ({1}, 2)
    evaluate(model, data, threads=2)
    assert (seen, torch.get_num_threads()) == ({1, 2}, 2)
    torch.set_num_threads(1)


class Small(nn.Module):
    """A network on a device that has memory for `room` images at a time."""

    def __init__(self, network, room):
        super().__init__()
        self.inner, self.room, self.refused = network, room, 0

    def forward(self, x):
        if len(x) > self.room:
            self.refused += 1
            raise devices.OutOfMemoryError("out of memory. Tried to allocate 2 GiB")
        return self.inner(x)


def without_dropout(network):
    model = network()
    model[4] = nn.Identity()
    model[1] = nn.GroupNorm(2, 4)  # the same alone as in a batch
    return model


def test_precision_and_memory_format_of_a_device_reach_training_and_evaluation(
    data, network, monkeypatch
):
    """A CPU has bfloat16 too, so it runs."""
    seen, model = set(), network()
    model[5].register_forward_hook(
        lambda m, given, out: seen.add((m.training, out.dtype))
    )
    monkeypatch.setattr(devices, "precision", lambda device: torch.bfloat16)
    monkeypatch.setattr(
        evaluation, "preferred_memory_format", lambda device: CONTIGUOUS
    )
    history = fit(model, data, RECIPE, progress=False)
    reason = "channels last is not reliable on this cpu"
    assert history.notes == [f"contiguous images: {reason}"]
    assert seen == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert model[5].weight.dtype == torch.float32


def test_out_of_memory_halves_the_batch_and_the_weights_stay_the_same(data, network):
    full = fit(without_dropout(network), data, RECIPE, progress=False)
    small = Small(without_dropout(network), 5)
    halved = fit(small, data, RECIPE, progress=False)
    assert small.refused > 0
    assert halved.notes == [
        f"out of memory in epoch 1: each batch is computed in {parts} parts"
        for parts in (2, 4)
    ]
    assert halved.loss == pytest.approx(full.loss, abs=1e-4)
    assert halved.accuracy == full.accuracy
    for one, other in zip(
        small.inner.parameters(), full.model.parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-4)


def test_a_device_without_room_for_two_images_fails_in_torchs_words(data, network):
    class Hungry(Small):  # only in training
        def forward(self, x):
            return super().forward(x) if self.training else self.inner(x)

    for model in (Hungry(network(), 1), Small(network(), 0)):
        with pytest.raises(devices.OutOfMemoryError, match="Tried to allocate"):
            fit(model, data, RECIPE, progress=False)


def test_evaluation_halves_its_batch_too(data, network):
    small = Small(network(), 3)
    assert evaluate(small, data).accuracy == evaluate(small.inner, data).accuracy
    assert small.refused > 0
    with pytest.raises(devices.OutOfMemoryError):
        evaluate(Small(network(), 0), data)


def test_the_model_returns_home_whatever_happens(data, network, monkeypatch):
    """The moves are watched, since there is one device here."""
    moves, model = [], network()
    monkeypatch.setattr(model, "to", lambda device: moves.append(device) or model)

    def broken(*args):
        raise KeyError("broken")

    monkeypatch.setattr(loop.Training, "run", broken)
    with pytest.raises(KeyError):
        fit(model, data, RECIPE, progress=False)
    assert moves == [torch.device("cpu")] * 2
    assert not model.training


def test_the_loss_is_read_every_ten_batches(data, network, monkeypatch):
    """Reading makes an accelerator wait, so the bar asks for nothing more often."""
    seen, read = [], loop.Training.mean_so_far

    def counted(training):
        seen.append((len(training.steps), read(training)))
        assert read(training) == seen[-1][1]  # nothing is counted twice
        return seen[-1][1]

    monkeypatch.setattr(loop.Training, "mean_so_far", counted)
    recipe = RECIPE.but(batch_size=4)  # 16 batches
    history = fit(network(), data, recipe, epochs=1, progress=False)
    assert [steps for steps, _ in seen] == [10, 16, 16]
    assert (history.loss[0], history.train_accuracy[0]) == seen[-1][1]


def test_the_loss_of_an_epoch_is_the_mean_over_its_images(data, network):
    training = loop.Training(network(), data, RECIPE, 1, 0, torch.device("cpu"))
    training.steps = [(torch.tensor(v), torch.tensor(3), 4) for v in (1.0, 2.0, 6.0)]
    assert training.mean_so_far() == (3.0, 0.75)
    training.steps += [(torch.tensor(9.0), torch.tensor(0), 12)]
    assert training.mean_so_far() == (6.0, 0.375)


class Strange(nn.Module):
    """Reads strides in some mode, keeps what it computed, has a volume inside."""

    def __init__(self, viewing):
        super().__init__()
        self.conv, self.volume = nn.Conv2d(3, 4, 3), nn.Conv3d(1, 1, 1)
        self.fc, self.viewing = nn.Linear(144, 2), viewing

    def train(self, mode=True):
        super().train(mode)  # and returns nothing, as many forget

    def forward(self, x):
        self.kept = self.conv(self.volume(x[:, None])[:, 0]).relu()
        mode = "training" if self.training else "evaluation"
        rows = len(x), -1
        return self.fc(
            self.kept.view(rows) if mode in self.viewing else self.kept.reshape(rows)
        )


@pytest.mark.parametrize(
    "viewing", [(), ("training",), ("evaluation",), ("training", "evaluation")]
)
def test_a_model_that_reads_strides_is_trained_contiguous(data, viewing):
    model, recipe = Strange(viewing), RECIPE.but(ema_decay=0.9)
    model(evaluation.as_input(data.test.images[:2], memory_format=CONTIGUOUS))
    history = fit(model, data, recipe, progress=False)
    noted = ["contiguous images: the model reads strides"]
    assert history.notes == (noted if viewing else [])
    assert evaluate(history.model, data).accuracy == history.accuracy[-1]


def test_what_was_trained_works_below_a_head_that_reads_strides(data):
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    fit(nn.Sequential(features, *head), data, RECIPE, progress=False)
    maps = features(torch.randn(2, 3, 8, 8))
    assert maps.view(2, -1).shape == (2, 144)


def test_random_state_gradients_and_cudnn_are_left_as_found(data, network):
    model = network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    torch.backends.cudnn.benchmark = False
    with torch.no_grad():
        fit(model, data, RECIPE, epochs=1, progress=False)
        assert not torch.is_grad_enabled()
    assert not torch.backends.cudnn.benchmark
    assert torch.equal(torch.rand(3), expected)


def test_a_devices_own_random_state_is_seeded_and_restored(monkeypatch):
    """The generators of a device that is not here are played by the CPU's kind."""
    here, elsewhere = torch.Generator(), torch.Generator().manual_seed(9)
    monkeypatch.setattr(torch.xpu, "default_generators", (elsewhere, here))
    before, untouched = here.get_state(), elsewhere.get_state()
    with isolation.isolated(torch.device("xpu", 1)):
        isolation.seed_generators(3, torch.device("xpu", 1))
        assert here.initial_seed() == torch.initial_seed() == 3
    assert torch.equal(here.get_state(), before)
    assert torch.equal(elsewhere.get_state(), untouched)
