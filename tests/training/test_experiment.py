"""The experiments: resumable without loss, and their stored tables in order."""

import csv

import pytest
import torch

import inception_edu as ie
from inception_edu.networks.minis import MATCHED_WIDTH
from inception_edu.training import experiment, ladder, modules, recipes
from inception_edu.training.experiment import append, count, done, results, run_all

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
