"""Tables of numbers: HTML in a notebook, aligned text everywhere else."""

from html import escape
from numbers import Integral, Real


class Table:
    """Rows of values under column names, shown as HTML with a text twin.

    Whole numbers get thousands separators, other numbers `digits` after the point
    (one for all columns, or a dict by column); None becomes a dash. `mark` is the
    index of a row to set in bold.
    """

    def __init__(self, rows, columns, *, title="", digits=2, mark=None):
        self.columns, self.title, self.mark = list(map(str, columns)), title, mark
        if not isinstance(digits, dict):
            digits = dict.fromkeys(columns, digits)
        after = [digits.get(column, 2) for column in columns]
        rows = [list(row) for row in rows]
        self.cells = [list(map(as_text, row, after)) for row in rows]
        self.flush = []  # columns of numbers are set flush right
        for index, _ in enumerate(columns):
            known = [row[index] for row in rows if row[index] is not None]
            numeric = bool(known) and all(isinstance(v, Real) for v in known)
            self.flush.append(numeric)

    def __repr__(self):
        lines = [self.columns, *self.cells]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [self.title] if self.title else []
        for line in lines:
            cells = zip(line, widths, self.flush, strict=True)
            padded = (c.rjust(w) if flush else c.ljust(w) for c, w, flush in cells)
            text.append("  ".join(padded).rstrip())
        return "\n".join(text)

    def _repr_html_(self):
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        rows = [
            self.html_row(line, "th" if index == self.mark else "td")
            for index, line in enumerate(self.cells)
        ]
        return (
            f"<table class='ie-table'>{caption}<thead>"
            f"{self.html_row(self.columns, 'th')}</thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
        )

    def html_row(self, line, kind):
        cells = ""
        for text, flush in zip(line, self.flush, strict=True):
            side = "right" if flush else "left"
            cells += f"<{kind} style='text-align:{side}'>{escape(text)}</{kind}>"
        return f"<tr>{cells}</tr>"


def as_text(value, digits):
    """A value of a table as text: 1,234, 3.14, "yes", or a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    return f"{value:,}" if isinstance(value, Integral) else f"{value:,.{digits}f}"
