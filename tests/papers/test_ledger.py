"""The three tables themselves: complete, sourced, consistent, readable."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from inception_edu import papers
from inception_edu.files import read_rows
from inception_edu.networks.bn_inception import FIGURE_5
from inception_edu.networks.googlenet import TABLE_1
from inception_edu.papers.reader import VERDICTS

ROOT = Path(__file__).parents[2]
ROWS = read_rows(ROOT / "tests" / "data" / "measured_claims.csv")
MEASURED = {row["claim"]: row for row in ROWS}  # by a cell of a lesson
OPEN = {"common/aux-vanishing"}  # claims that no test shows yet
MARKED = {  # every test of a claim, and the claims that it shows
    f"tests/papers/{path.name}::{name}": getattr(test, "shown", set())
    for path in Path(__file__).parent.glob("test_claims_*.py")
    for name, test in vars(import_module(path.stem)).items()
    if name.startswith("test_")
}


def test_every_claim_is_complete_and_has_a_test_or_a_cell_that_shows_it():
    for id, claim in papers.claims().iterrows():
        assert claim["verdict"] in VERDICTS, id
        assert 0 <= claim["lesson"] <= 7, id
        for column in ("claim", "who", "correct", "source"):
            assert claim[column].strip(), (id, column)
        if id in OPEN:
            assert not claim["test"], f"{id} has a test now: take it off the list"
        elif id not in MEASURED:
            assert id in MARKED[claim["test"]], id

    assert set(papers.claims(lesson=1)["lesson"]) == {1}


def test_every_mark_is_a_claim_of_the_ledger():
    assert set().union(*MARKED.values()) <= {*papers.claims().index}
    assert all(MARKED.values()), "a test that shows no claim"


@pytest.mark.parametrize("id", MEASURED)
def test_the_cell_that_a_claim_names_shows_what_the_ledger_states(id):
    """nbval compares what the cell prints; a pattern finds the claim's line there."""
    claim, measured = papers.claim(id), MEASURED[id]
    assert claim.verdict == measured["verdict"]
    assert [s for s in measured["stated"].split("; ") if s not in claim.correct] == []
    path, _, name = claim.test.partition("::")
    (cell,) = [c for c in nbformat.read(ROOT / path, 4).cells if c.id == name]
    printed = "".join(out.get("text") or out.data["text/plain"] for out in cell.outputs)
    assert re.search(measured["shown"], printed, re.MULTILINE)


def test_every_statement_of_the_blog_post_is_judged():
    ids = list(papers.claims().index)
    count = Counter(
        id.split("/")[1].split("-")[0] for id in ids if id.startswith("blog")
    )
    # v2's six statements and its question, v3's and v4's, the rest about v1.
    assert (count["v2"], count["v3"], count["v4"]) == (7, 5, 11)
    assert sum(count.values()) - 7 - 5 - 11 >= 12


@pytest.mark.parametrize("vote", VERDICTS)
def test_a_vote_is_right_where_it_is_the_verdict_whatever_the_claim(vote):
    for id in papers.claims().index:
        card = papers.claim(id).judge(vote)
        assert card.kind == ("right" if vote == papers.claim(id).verdict else "wrong")
        assert card.details[0] == papers.claim(id).claim


def test_every_figure_has_a_source_a_unit_and_a_number():
    for id in papers.figures().index:
        figure = papers.figure(id)
        assert papers.source(figure.paper).title in figure.source
        assert figure.place and figure.network and figure.what, id
        assert figure.value == figure.value, id


def test_accuracies_say_what_they_were_measured_on():
    for paper, place in (
        ("rethinking", "table 3"),
        ("rethinking", "table 4"),
        ("inception-v4", "table 2"),
        ("inception-v4", "table 3"),
        ("going-deeper", "table 3"),
    ):
        rows = papers.figures().query("paper == @paper and place == @place")
        rows = rows[rows["what"].str.contains("error")]
        assert len(rows) and (rows["images"] != "").all(), (paper, place)
    single = papers.figures().query("paper == 'inception-v4' and place == 'table 2'")
    assert set(single["crops"]) == {1}


@pytest.mark.parametrize(
    ("place", "paper", "table"),
    [
        ("table-1", "going-deeper", TABLE_1),
        ("figure-5", "batch-normalization", FIGURE_5),
    ],
)
def test_printed_widths_are_those_of_the_networks(place, paper, table):
    for module, widths in table.items():
        for column, width in widths.items():
            key = f"{paper}/{place}/{module}/{column}".replace(" ", "-")
            assert papers.figure(key).value == width, key


def test_top_1_error_is_above_top_5_error():
    table = papers.figures()
    for id, row in table[table["what"] == "top-1 error"].iterrows():
        other = id.replace("top-1", "top-5")
        if other in table.index:
            assert row["value"] > table.loc[other, "value"], id
