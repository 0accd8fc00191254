"""What it costs: the tracer, receptive fields, tables."""

from inception_edu.cost.conventions import CONVENTIONS
from inception_edu.cost.rules import ShapeError
from inception_edu.cost.timing import Latency, latency
from inception_edu.cost.tracer import Op, Row, Trace, trace

__all__ = ["CONVENTIONS", "Latency", "Op", "Row", "ShapeError", "Trace", "latency"]
__all__ += ["trace"]
