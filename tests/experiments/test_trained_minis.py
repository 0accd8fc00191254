"""The minis that come with the package: trained by the command, as good as it says."""

import hashlib

import pytest
import torch
from safetensors.torch import load_file

import inception_edu as ie
from experiments import minis, runner
from inception_edu.files import read_rows
from inception_edu.networks.pretrained import TRAINED, TRAINED_MINIS
from inception_edu.training.data import BINS, digits_at_scale
from inception_edu.training.evaluation import evaluate

ROWS = {row["model"]: row for row in read_rows(TRAINED / "minis.csv")}
MARGIN = 0.01  # 20 of 2,000 images: processors round differently


@pytest.fixture(scope="module")
def digits():
    return digits_at_scale()


def assert_is_the_file(row, path):
    content = path.read_bytes()
    assert row["sha256"] == hashlib.sha256(content).hexdigest()
    assert int(row["bytes"]) == len(content)


def test_every_mini_of_the_plan_is_there_with_its_command():
    assert set(ROWS) == set(TRAINED_MINIS)
    for run in minis.EXPERIMENT.runs:
        row = ROWS[run["model"]]
        assert {key: row[key] for key in run} == {k: str(v) for k, v in run.items()}
        assert row["command"] == (
            f"python -m experiments minis --only model={run['model']} "
            "--seeds 0 --epochs 8 --images 6000"
        )


@pytest.mark.parametrize("name", TRAINED_MINIS)
def test_the_stored_accuracy_is_that_of_the_stored_weights(name, digits):
    model, row = ie.load_pretrained(name), ROWS[name]
    accuracy, by_scale = evaluate(model, digits)
    assert accuracy == pytest.approx(float(row["accuracy"]), abs=MARGIN)
    assert list(by_scale) == list(BINS)
    for scale, share in by_scale.items():
        assert share == pytest.approx(float(row[scale]), abs=3 * MARGIN)
    assert accuracy > 0.85 and int(row["bytes"]) < 200_000
    assert sum(p.numel() for p in model.parameters()) == int(row["params"])
    assert_is_the_file(row, TRAINED / f"{name}.safetensors")


def test_small_digits_are_the_hard_ones_for_every_mini():
    for row in ROWS.values():
        assert float(row["10-15"]) < min(float(row[s]) for s in list(BINS)[1:])


TINY = ["minis", "--only", "model=mini_reduced", "--epochs", "1", "--images", "100"]


@pytest.fixture
def few_images(monkeypatch):
    monkeypatch.setattr(
        minis, "digits_at_scale", lambda n: digits_at_scale(n, n_test=100)
    )


def test_the_command_stores_what_it_measured(tmp_path, few_images, capsys):
    given = [*TINY, "--out", str(tmp_path / "minis.csv")]
    runner.main(given)
    path = tmp_path / "mini_reduced.safetensors"
    (row,) = runner.read_table(tmp_path / "minis.csv")
    assert_is_the_file(row, path)
    stored = load_file(path)
    floats = [v for v in stored.values() if v.is_floating_point()]
    assert {v.dtype for v in floats} == {torch.float16}
    model = ie.create_model("mini_reduced")
    ie.load_weights(model, path)
    accuracy, _ = evaluate(model, digits_at_scale(100, n_test=100))
    assert row["accuracy"] == f"{accuracy:.4g}"
    assert list(row) == list(ROWS["mini_reduced"])
    before = path.read_bytes()
    runner.main(given)
    assert "1 of 1 runs are in minis.csv" in capsys.readouterr().out
    assert path.read_bytes() == before


def test_an_interrupted_training_writes_no_row(few_images, monkeypatch):
    def broken(*args, **options):
        return fit(*args, **options, callback=lambda history: False)

    fit = minis.fit
    monkeypatch.setattr(minis, "fit", broken)
    with pytest.raises(KeyboardInterrupt):  # one epoch of two
        minis.measure(minis.EXPERIMENT.runs[0] | {"epochs": 2, "images": 100})
