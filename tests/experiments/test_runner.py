"""The runner: resumable without loss, parallel, and what each experiment measures."""

from importlib import import_module

import pytest
import torch

import inception_edu as ie
from experiments import ladder, modules, residual_scaling, runner
from experiments.runner import read_table, run_all
from inception_edu.training import dead_channels, recipes, results
from inception_edu.training.data import plain_digits

PLAN = [{"model": m, "seed": s} for s in (0, 1) for m in ("a", "b")]


def row(run):
    return {**run, "accuracy": 0.5, "seconds": 1.0}


def row_and_file(run):
    return row(run) | {f"{run['model']}.txt": b"beside"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.csv"


@pytest.mark.parametrize("jobs", [1, 2])
def test_runs_in_the_table_are_skipped(path, capsys, jobs):
    run_all(row, PLAN[:3], path, jobs)
    run_all(row, PLAN, path, jobs)
    rows = read_table(path)
    assert sorted((r["model"], int(r["seed"])) for r in rows) == sorted(
        tuple(run.values()) for run in PLAN
    )
    assert "3 of 4 runs are in x.csv" in capsys.readouterr().out


def test_an_interrupt_loses_no_finished_run(path):
    def interrupted(run):
        if run == PLAN[2]:
            raise KeyboardInterrupt
        return row(run)

    with pytest.raises(SystemExit, match="the same command continues from here"):
        run_all(interrupted, PLAN, path)
    assert len(read_table(path)) == 2
    run_all(row, PLAN, path)
    assert len(read_table(path)) == 4


def test_a_run_may_have_a_file_of_its_own(path, capsys):
    run_all(row_and_file, PLAN[:1], path)
    assert read_table(path)[0].keys() == row(PLAN[0]).keys()
    assert (path.parent / "a.txt").read_bytes() == b"beside"
    run_all(row_and_file, PLAN, path)
    assert "1 of 4 runs are in x.csv" in capsys.readouterr().out


@pytest.mark.parametrize("name", runner.NAMES)
def test_every_experiment_is_complete(name):
    module = import_module(f"experiments.{name}")
    if hasattr(module, "STORED"):
        return
    seeds = []
    for kind in ("EXPERIMENT", "SEARCH"):
        found = getattr(module, kind, module.EXPERIMENT).runs
        assert found and all(run.keys() == found[0].keys() for run in found)
        assert {"seed", "epochs", "images"} <= found[0].keys()
        assert len({str(sorted(run.items())) for run in found}) == len(found)
        seeds.append({run["seed"] for run in found})
    assert not hasattr(module, "SEARCH") or not seeds[0] & seeds[1]


@pytest.mark.parametrize(
    ("argv", "only", "seeds"),
    [
        (["modules"], "model=mini_reduced", ["0", "1"]),
        (["residual_scaling"], "network=residual", ["0"]),
        (["ladder", "--search"], "learning_rate=0.1", ["100"]),
    ],
)
def test_the_command_trains_and_continues(tmp_path, argv, only, seeds):
    path = tmp_path / "m.csv"
    given = [*argv, "--images", "64", "--epochs", "1", "--only", only]
    for some in (seeds[:1], seeds):
        runner.main([*given, "--out", str(path), "--seeds", *some])
    rows = read_table(path)
    assert {r["seed"] for r in rows} == set(seeds)
    assert {r["torch"] for r in rows} == {torch.__version__}
    column, _, value = only.partition("=")
    assert {r[column] for r in rows} == {value}


def test_what_the_command_does_not_know_is_refused(capsys):
    for argv in (["nothing"], ["modules", "--only", "model=x"]):
        with pytest.raises(SystemExit):
            runner.main(argv)
    assert "no run has model=x" in capsys.readouterr().err


# The stored tables.


@pytest.mark.parametrize("module", [modules, residual_scaling, ladder])
def test_the_stored_table_holds_every_run_once(module):
    found = module.EXPERIMENT
    table = results(found.table.stem)
    columns = list(found.runs[0])
    expected = {tuple(run[column] for column in columns) for run in found.runs}
    stored = list(table[columns].itertuples(index=False, name=None))
    assert set(stored) == expected and len(stored) == len(expected)


def test_the_stored_costs_are_the_networks():
    for _, row in results("modules").drop_duplicates(["model", "width"]).iterrows():
        model = ie.create_model(row["model"], width=row["width"])
        trace = ie.trace(model, (1, 3, 48, 48))
        assert (trace.macs, trace.params) == (row["macs"], row["params"])
        assert row["matched"] == (modules.MATCHED_WIDTH[row["model"]] == row["width"])
        if row["matched"]:  # mini_reduced costs 2,571,232 MACs
            assert trace.macs == pytest.approx(2_571_232, rel=0.02)
    table = results("residual_scaling")
    for _, row in table.drop_duplicates(["network", "scale"]).iterrows():
        model = residual_scaling.build(row["network"], row["scale"], 0)
        trace = ie.trace(model, (1, 3, residual_scaling.SIZE, residual_scaling.SIZE))
        assert (trace.macs, trace.params) == (row["macs"], row["params"])
    macs = table.groupby("network")["macs"].first()
    assert abs(macs["v4"] / macs["residual"] - 1) < 0.02
    last = table["by_epoch"].str.split().str[-1].astype(float)
    assert (last == table["accuracy"]).all()
    assert ((table["dead"] >= 0) & (table["dead"] <= table["zeros"] + 1e-9)).all()


def test_the_ladder_is_trained_until_its_losses_are_flat():
    """Every training image is right; the last quarter lowers the loss by < 0.02."""
    table = results("ladder")
    assert (table["train_accuracy"] == 1).all()
    fall = (table["loss_before"] - table["loss"]).groupby(table["rung"]).mean()
    assert (fall.abs() < 0.02).all()
    steps = table["epochs"] * table["images"] / 16
    assert steps.max() / steps.min() < 1.05
    assert set(table["rung"]) == {*recipes.ladder, "fewer images"}


def test_the_ladders_search_tried_every_rate_for_both_optimizers():
    search = results("ladder_search")
    best = search.groupby(["rung", "learning_rate"])["accuracy"].mean().unstack()
    assert list(best.columns) == list(ladder.RATES) and not best.isna().any().any()
    # the rate taken is within a fifth of a point of the best for both
    assert (best.max(axis=1) - best[0.05] < 0.002).all()


# What they measure.


def test_zeros_and_dead_channels_by_hand():
    model = residual_scaling.build("narrow", 1.0, seed=0)
    with torch.no_grad():
        model.c5.up.bias[:24] = -1000.0
        model.c5.up.bias[24:] = 1000.0
    images = plain_digits(2).test.images[:20]
    assert dead_channels(model, images) == (0.25, 0.25)
    assert not model.avgpool._forward_pre_hooks
