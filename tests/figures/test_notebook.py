"""Alt text, cells and the text twin of a picture; the rest nbval compares."""

from matplotlib.figure import Figure

from inception_edu.figures import Table
from inception_edu.figures.notebook import describe, picture_html


def test_alt_text_and_cells_are_escaped():
    html = picture_html(b"x", 'a "quoted" <b>')
    assert 'alt="a &quot;quoted&quot; &lt;b&gt;"' in html
    rows = [("1x1", 1), ("3x3 & <b>", 2)]
    html = Table(rows, ["branch", "MACs"], mark=1)._repr_html_()
    assert "<th style='text-align:left'>3x3 &amp; &lt;b&gt;</th>" in html


def test_digits_may_differ_by_column():
    table = Table([(1.0, 2.0)], ["a", "b"], digits={"a": 0})
    assert table.cells == [["1", "2.00"]]


def figure_with(draw):
    figure = Figure()
    draw(figure.subplots())
    return figure


def test_lines_are_told():
    def draw(axes):
        axes.plot([1, 2, 3], [0.5, 0.25, 0.125], label="loss")
        axes.plot(range(20), [x * x for x in range(20)])
        axes.plot([0, 1], [0, 1])  # a rule, without a name
        axes.set_xlabel("epoch")

    figure = figure_with(draw)
    assert describe(figure).splitlines() == [
        "Figure: x: epoch",
        "  line loss: n=3, values 0.5, 0.25, 0.125",
        "  line: n=20, first 0, last 361, min 0, max 361",
    ]
    figure.twin_digits = 0
    assert describe(figure) == "Figure: x: epoch\n  line loss: n=3\n  line: n=20"
    assert describe(figure_with(lambda axes: None)) == "Figure: axes without title"
