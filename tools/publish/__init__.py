"""What is done with finished notebooks: run and store them, hold them to a form.

    python -m tools.publish execute notebooks/*.ipynb
    python -m tools.publish check notebooks/*.ipynb

`execute` runs each notebook in a kernel of its own and stores what it showed,
so that a second run changes not one byte. `check` names every departure from
the form that strict `pytest --nbval` needs.
"""

from tools.publish.execute import execute
from tools.publish.form import check, violations

__all__ = ["check", "execute", "violations"]
