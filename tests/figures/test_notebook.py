"""What a notebook stores: an image with alt text and a twin, no bare picture."""

import re

import pytest

from inception_edu.figures.notebook import describe, picture_html

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

CELLS = [
    "import sys; from inception_edu.figures import setup_notebook, diagram, charts\n"
    "print(setup_notebook(), 'matplotlib' in sys.modules)",
    "import matplotlib.pyplot as plt\n"
    "plt.bar(['a', 'b'], [10, 20]); plt.title('Cost <now>'); plt.ylabel('M')\n"
    "plt.show()",
    "plt.bar(['a', 'b'], [15, 20]); plt.title('Cost <now>'); plt.ylabel('M');",
    "charts.learning_curve({'naive': [2, 1], 'reduced': [1.5, 1]})",
    "from torch import nn\ndiagram(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))",
]


@pytest.fixture(scope="module")
def outputs():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS]
    )
    nbclient.NotebookClient(notebook, timeout=120).execute()
    return [[dict(o) for o in cell.outputs] for cell in notebook.cells]


def test_setting_up_does_not_import_matplotlib(outputs):
    assert outputs[0][0]["text"] == "True False\n"


@pytest.mark.parametrize("cell", [1, 2, 3, 4])
def test_every_picture_is_an_image_with_alt_text_and_a_twin(outputs, cell):
    (output,) = [o for o in outputs[cell] if "data" in o]
    assert set(output["data"]) == {"text/plain", "text/html"}
    html = output["data"]["text/html"]
    image = r'<img alt="([^"]+)" src="data:image/[^"]+">'
    walk = r'<div class="ie-diagram" [^>]+>' + image + r"</div><script>(?s:.*)</script>"
    alt = re.fullmatch(walk if cell == 4 else image, html)[1]
    assert alt.split()[0] == output["data"]["text/plain"].split()[0]


def test_a_changed_bar_changes_what_is_compared(outputs):
    first, second = (
        next(o["data"]["text/plain"] for o in outputs[cell] if "data" in o)
        for cell in (1, 2)
    )
    assert first == "Figure: Cost <now>; y: M\n  bars: a 10, b 20"
    assert second == "Figure: Cost <now>; y: M\n  bars: a 15, b 20"


def test_without_ipython_it_does_nothing():
    import subprocess
    import sys

    code = "from inception_edu.figures import setup_notebook as s; print(s())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8"
    )
    assert done.stdout == "False\n"


def test_alt_text_is_escaped():
    html = picture_html(b"x", 'a "quoted" <b>')
    assert 'alt="a &quot;quoted&quot; &lt;b&gt;"' in html


def figure_with(draw):
    from matplotlib.figure import Figure

    figure = Figure()
    draw(figure.subplots())
    return figure


def test_lines_images_and_points_are_told():
    def draw(axes):
        axes.plot([1, 2, 3], [0.5, 0.25, 0.125], label="loss")
        axes.plot(range(20), [x * x for x in range(20)], label="square")
        axes.scatter([1, 2], [3, 4], label="networks")
        axes.set_xlabel("epoch")

    text = describe(figure_with(draw))
    assert text.splitlines() == [
        "Figure: x: epoch",
        "  line loss: n=3, values 0.5, 0.25, 0.125",
        "  line square: n=20, first 0, last 361, min 0, max 361",
        "  points networks: n=2",
    ]
    assert describe(figure_with(lambda axes: axes.imshow([[0, 1], [1, 0]]))) == (
        "Figure: axes without title\n  image: 2x2 pixels"
    )
    assert describe(figure_with(lambda axes: None)) == "Figure: axes without title"


def test_digits_can_be_left_out():
    figure = figure_with(lambda axes: axes.plot([1, 2, 3], label="loss"))
    figure.twin_digits = 0
    assert describe(figure) == "Figure: axes without title\n  line loss: n=3"
