"""What it costs: the tracer, receptive fields, tables, times."""

from inception_edu.cost.result import Op, Row, Trace
from inception_edu.cost.run import trace
from inception_edu.cost.shapes import ShapeError
from inception_edu.cost.timing import Latency, latency

__all__ = ["Latency", "Op", "Row", "ShapeError", "Trace", "latency", "trace"]
