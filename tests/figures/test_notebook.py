"""What a notebook stores: an image with alt text and a twin, no bare picture."""

import re

import pytest
from matplotlib.figure import Figure

from inception_edu.figures.notebook import describe, picture_html

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

CELLS = [
    "import sys; from inception_edu.figures import setup_notebook, diagram\n"
    "print(setup_notebook(), 'matplotlib' in sys.modules)",
    "import matplotlib.pyplot as plt\n"
    "plt.plot(['a', 'b'], [10, 20], label='k'); plt.title('Cost <now>')\n"
    "plt.ylabel('M'); plt.show()",
    "from inception_edu.figures import learning_curve\n"
    "learning_curve({'naive': [2, 1], 'reduced': [1.5, 1]})",
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


@pytest.mark.parametrize("cell", [1, 2, 3])
def test_every_picture_is_an_image_with_alt_text_and_a_twin(outputs, cell):
    (output,) = [o for o in outputs[cell] if "data" in o]
    assert set(output["data"]) == {"text/plain", "text/html"}
    html = output["data"]["text/html"]
    image = r'<img alt="([^"]+)" src="data:image/[^"]+">'
    walk = r'<div class="ie-diagram" [^>]+>' + image + r"</div><script>(?s:.*)</script>"
    alt = re.fullmatch(walk if cell == 3 else image, html)[1]
    assert alt.split()[0] == output["data"]["text/plain"].split()[0]


def test_a_chart_is_compared_by_its_numbers(outputs):
    (output,) = [o for o in outputs[1] if "data" in o]
    twin = "Figure: Cost <now>; y: M\n  line k: n=2, values 10, 20"
    assert output["data"]["text/plain"] == twin


def test_alt_text_is_escaped():
    html = picture_html(b"x", 'a "quoted" <b>')
    assert 'alt="a &quot;quoted&quot; &lt;b&gt;"' in html


def figure_with(draw):
    figure = Figure()
    draw(figure.subplots())
    return figure


def test_lines_and_images_are_told():
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
    assert describe(figure_with(lambda axes: axes.imshow([[0, 1], [1, 0]]))) == (
        "Figure: axes without title\n  image: 2x2 pixels"
    )
    assert describe(figure_with(lambda axes: None)) == "Figure: axes without title"
