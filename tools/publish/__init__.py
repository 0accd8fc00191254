"""What is done with finished notebooks: run and store them, hold them to a form.

And pages, decks, copies and handouts, made from them: `python -m tools.publish -h`.
"""

from tools.publish.execute import execute
from tools.publish.form import check, violations

__all__ = ["check", "execute", "violations"]
