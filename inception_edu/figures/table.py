"""Tables of numbers: HTML in a notebook, aligned text everywhere else."""

from html import escape
from numbers import Integral, Real


class Table:
    """Rows under column names, shown as HTML with a text twin.

    `rows` is a list of dicts, or of sequences in the order of `columns`. Whole numbers
    get thousands separators, other numbers `digits` after the point (one for all
    columns, or a dict by column); None becomes a dash. `mark` is the index of a row to
    set in bold.
    """

    def __init__(self, rows, columns=None, *, title="", digits=2, mark=None):
        rows = list(rows)
        self.columns = list(columns or (rows[0] if rows else ()))
        self.title, self.mark = title, mark
        self.rows = [
            [row[c] for c in self.columns] if isinstance(row, dict) else list(row)
            for row in rows
        ]
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{len(row)} values {row} for {len(self.columns)} columns "
                    f"{self.columns}"
                )
        each = digits if isinstance(digits, dict) else {}
        common = 2 if isinstance(digits, dict) else digits
        self.cells = [
            [
                as_text(value, each.get(column, common))
                for column, value in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]

    def is_number(self, place):
        """Whether a column holds numbers only, and is set flush right."""
        values = [row[place] for row in self.rows if row[place] is not None]
        return bool(values) and all(isinstance(v, Real) for v in values)

    def __repr__(self):
        lines = [[str(column) for column in self.columns], *self.cells]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = [self.is_number(place) for place in range(len(self.columns))]
        text = [
            "  ".join(
                cell.rjust(width) if flush else cell.ljust(width)
                for cell, width, flush in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title] * bool(self.title) + text)

    def _repr_html_(self):
        right = [self.is_number(place) for place in range(len(self.columns))]
        pairs = zip(self.columns, right, strict=True)
        head = "".join(cell("th", column, flush) for column, flush in pairs)
        body = ""
        for index, line in enumerate(self.cells):
            kind = "th" if index == self.mark else "td"
            parts = (cell(kind, c, r) for c, r in zip(line, right, strict=True))
            body += f"<tr>{''.join(parts)}</tr>"
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return (
            f"<table class='ie-table'>{caption}<thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def cell(kind, text, right):
    side = "right" if right else "left"
    return f"<{kind} style='text-align:{side}'>{escape(str(text))}</{kind}>"


def as_text(value, digits):
    """A value of a table as text: 1,234, 3.14, "yes", or a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    return f"{value:,}" if isinstance(value, Integral) else f"{value:,.{digits}f}"
