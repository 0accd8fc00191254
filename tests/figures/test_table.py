"""Tables: the same cells as HTML and as aligned text."""

from inception_edu.figures import Table

ROWS = [(9_633_792, "1x1"), (173_408_256, "3x3 & <b>"), (None, "pool")]


def test_html_has_the_same_cells_escaped():
    html = Table(ROWS, ["MACs", "branch"], mark=1)._repr_html_()
    assert "<td style='text-align:right'>9,633,792</td>" in html
    assert "<td style='text-align:right'>-</td>" in html
    assert "<th style='text-align:left'>3x3 &amp; &lt;b&gt;</th>" in html


def test_digits_may_differ_by_column():
    table = Table([(1.0, 2.0)], ["a", "b"], digits={"a": 0})
    assert table.cells == [["1", "2.00"]]
