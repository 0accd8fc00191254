"""How you check yourself: `check` your own code, `predict` before you measure."""

from inception_edu.lesson.checking import check
from inception_edu.lesson.prediction import Prediction, predict, predictions

__all__ = ["Prediction", "check", "predict", "predictions"]
