"""A picture with its text twin, as notebooks, pages and files take it."""

from pathlib import Path

from inception_edu.figures.notebook import picture_html
from inception_edu.files import atomic_write


class Figure:
    """A picture with its text twin: `.svg`, `.text`, `.save("x.pdf")`.

    `repr` is the text, which is what a test of a notebook compares; its lines are
    the alt text too. `.drawing` holds the primitives.
    """

    def __init__(self, drawing, title, text):
        self.drawing, self.title, self.text = drawing, title, text
        self.width, self.height = drawing.width, drawing.height

    @property
    def svg(self):
        """The picture as SVG text, with colors that a page's theme may change."""
        return self.drawing.svg(self.title, self.text)

    @property
    def html(self):
        """The picture as an image with alt text."""
        return picture_html(self.svg, self.text)

    def __repr__(self):
        return self.text

    def _repr_svg_(self):
        return self.svg

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": self.text, "text/html": self.html}

    def _ipython_display_(self):
        # An SVG output has no alt text in JupyterLab and is hidden until the
        # notebook is trusted; an image in HTML is shown everywhere.
        from IPython.display import display

        display(self._repr_mimebundle_(), raw=True)

    def save(self, path):
        """Write an SVG, PDF or PNG, by the ending of `path`; returns the path.

        Raises ValueError for any other ending.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".pdf", ".png"):
            raise ValueError(
                f"cannot save a picture as {path.suffix or path.name!r}; "
                "choose a name that ends in .svg, .pdf, .png"
            )
        with atomic_write(path) as part:
            if path.suffix == ".svg":
                part.write_text(self.svg, encoding="utf-8")
            else:
                from inception_edu.figures.export import save

                save(self.drawing, part, self.title)
        return path
