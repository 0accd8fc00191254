"""The experiments: resumable without loss, and their stored tables in order."""

import csv

import pytest
import torch

import inception_edu as ie
from experiments import ladder, modules, residual_scaling
from experiments import runner as experiment
from experiments.runner import append, count, done, run_all
from inception_edu.networks.minis import MATCHED_WIDTH
from inception_edu.training import (
    Diverged,
    History,
    recipes,
    results,
)

PLAN = [{"model": m, "seed": s} for s in (0, 1) for m in ("a", "b")]
KEY = ("model", "seed")


def row(run):
    return {**run, "accuracy": 0.5, "seconds": 1.0}


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_runs_in_the_file_are_skipped(tmp_path, capsys):
    path, trained = tmp_path / "x.csv", []

    def train(run):
        trained.append(run)
        return row(run)

    assert run_all(PLAN[:3], path, KEY, train)
    assert run_all(PLAN, path, KEY, train)
    assert trained == PLAN
    assert [(r["model"], int(r["seed"])) for r in read(path)] == [
        tuple(run.values()) for run in PLAN
    ]
    assert "3 of 4 runs are in x.csv" in capsys.readouterr().out


def test_an_interrupt_loses_no_finished_run(tmp_path):
    path = tmp_path / "x.csv"

    def train(run):
        if run == PLAN[2]:
            raise KeyboardInterrupt
        return row(run)

    assert not run_all(PLAN, path, KEY, train)
    assert len(read(path)) == 2
    assert not run_all(PLAN, path, KEY, lambda run: None)  # fit caught the Ctrl-C
    assert run_all(PLAN, path, KEY, row)
    assert len(read(path)) == 4


def test_a_row_that_was_cut_off_is_run_again(tmp_path):
    path = tmp_path / "x.csv"
    for run in PLAN[:2]:
        append(path, row(run))
    path.write_text(path.read_text()[:-6])
    assert done(path, KEY) == {("a", "0")}
    assert run_all(PLAN, path, KEY, row)
    assert len(read(path)) == 4


def test_other_columns_are_refused(tmp_path):
    append(tmp_path / "x.csv", {"a": 1})
    with pytest.raises(ValueError, match="columns a, this run has b"):
        append(tmp_path / "x.csv", {"b": 1})


def test_count_agrees_with_the_tracer():
    for name in ("mini_reduced", "mini_v3", "mini_resnet"):
        model = ie.create_model(name)
        trace = ie.trace(model, (1, 3, 48, 48))
        assert count(model) == (trace.macs, trace.params)


def test_count_leaves_out_the_auxiliary_head_and_leaves_no_hook():
    model = ie.create_model("mini_v3", aux=True)
    assert count(model) == count(ie.create_model("mini_v3"))
    assert model.training
    assert not any(layer._forward_hooks for layer in model.modules())


def test_the_command_trains_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(modules, "MATCHED_WIDTH", {"mini_reduced": 1.0})
    given = ["--images", "64", "--epochs", "1", "--out", str(tmp_path / "m.csv")]
    assert modules.main([*given, "--seeds", "0"])
    assert modules.main([*given, "--seeds", "0", "1"])
    rows = read(tmp_path / "m.csv")
    assert [r["seed"] for r in rows] == ["0", "1"]
    assert rows[0]["macs"] == "2571232" and rows[0]["torch"] == torch.__version__
    given[-1] = str(tmp_path / "l.csv")
    assert ladder.main([*given, "--seeds", "0"])
    assert [r["rung"] for r in read(tmp_path / "l.csv")] == list(recipes.ladder)


def test_the_searches_share_no_seed_with_what_is_shown():
    assert not set(experiment.SEARCH_SEEDS) & set(experiment.SEEDS)
    assert experiment.SEARCH_DATA != 0


def test_an_unknown_table_names_the_stored():
    with pytest.raises(ValueError, match="modules"):
        results("nothing")


@pytest.mark.parametrize("name", ["modules", "ladder"])
def test_the_stored_table_is_whole(name):
    """Every run of the command's plan once, over five seeds, none besides."""
    table = results(name)
    plan, key, epochs = {
        "modules": (modules.plan, modules.KEY, modules.RECIPE.epochs),
        "ladder": (ladder.plan, ladder.KEY, recipes.RETHINKING.epochs),
    }[name]
    expected = {tuple(r[k] for k in key) for r in plan(experiment.SEEDS, epochs, 6000)}
    assert {tuple(r) for r in table[list(key)].itertuples(index=False)} == expected
    assert len(table) == len(expected)
    scales = table[["10-15", "16-23", "24-31", "32-40"]]
    assert ((scales > 0.1) & (scales <= 1)).all().all()
    # 31 scales, equally often: the accuracy is near the scales' weighted mean.
    weighted = scales.mul([6 / 31, 8 / 31, 8 / 31, 9 / 31]).sum(axis=1)
    assert (weighted - table["accuracy"]).abs().max() < 0.02


def test_the_stored_costs_are_the_networks():
    for _, row in results("modules").drop_duplicates(["model", "width"]).iterrows():
        model = ie.create_model(row["model"], width=row["width"])
        assert count(model) == (row["macs"], row["params"])
        assert row["matched"] == (MATCHED_WIDTH[row["model"]] == row["width"])


def test_the_stored_residual_runs_are_whole_and_cost_what_they_say():
    table = results("residual_scaling")
    key = list(residual_scaling.KEY)
    runs = residual_scaling.plan(
        experiment.SEEDS, residual_scaling.EPOCHS, residual_scaling.IMAGES
    )
    expected = {tuple(run[k] for k in key) for run in runs}
    assert {tuple(row) for row in table[key].itertuples(index=False)} == expected
    assert len(table) == len(expected)
    for _, row in table.drop_duplicates(["network", "scale"]).iterrows():
        model = residual_scaling.build(row["network"], row["scale"], 0)
        size = residual_scaling.SIZE
        assert count(model, (1, 3, size, size)) == (row["macs"], row["params"])
    macs = table.groupby("network")["macs"].first()
    assert abs(macs["v4"] / macs["residual"] - 1) < 0.02
    last = table["by_epoch"].str.split().str[-1].astype(float)
    assert (last == table["accuracy"]).all()
    assert ((table["dead"] >= 0) & (table["dead"] <= table["zeros"] + 1e-9)).all()


def test_the_handwriting_is_split_and_the_same_for_all():
    data = residual_scaling.handwriting(200)
    again = residual_scaling.handwriting(200)
    assert data.train.images.shape == (200, 3, 24, 24)
    assert len(data.test) == residual_scaling.TEST
    assert torch.equal(data.train.images, again.train.images)
    train = {image.numpy().tobytes() for image in data.train.images}
    test = {image.numpy().tobytes() for image in data.test.images}
    assert not train & test
    assert data.train.images.float().amax((1, 2, 3)).min() > 200
    with pytest.raises(ValueError, match="images=1400"):
        residual_scaling.handwriting(1400)


def test_zeros_and_dead_channels_by_hand():
    model = residual_scaling.build("narrow", 1.0, seed=0)
    with torch.no_grad():
        model.c5.up.bias[:24] = -1000.0
        model.c5.up.bias[24:] = 1000.0
    images = residual_scaling.handwriting(2).test.images[:20]
    assert residual_scaling.last_grid(model, images) == (0.25, 0.25)
    assert not model.avgpool._forward_pre_hooks and not model.avgpool._forward_hooks


def test_the_residual_command_trains_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(residual_scaling, "RUNS", {"narrow": ((0.1,), (0.02,), 2)})
    given = ["--images", "64", "--epochs", "1", "--out", str(tmp_path / "r.csv")]
    assert residual_scaling.main([*given, "--seeds", "0"])
    assert residual_scaling.main([*given, "--seeds", "0", "1"])
    rows = read(tmp_path / "r.csv")
    assert [r["seed"] for r in rows] == ["0", "1"]
    assert 0 <= float(rows[0]["dead"]) <= float(rows[0]["zeros"]) <= 1


def test_a_run_that_diverges_at_once_is_a_row_too(monkeypatch):
    def explode(*_, **__):
        raise Diverged("the loss became nan", History("mini_resnet"))

    monkeypatch.setattr(residual_scaling, "fit", explode)
    run = {"network": "narrow", "scale": 1.0, "learning_rate": 9.0, "seed": 0}
    row = residual_scaling.train({**run, "epochs": 1, "images": 64})
    assert row["loss"] != row["loss"]  # no number
    assert row["by_epoch"] == f"{row['accuracy']:.4f}"
    assert row["accuracy"] < 0.3
