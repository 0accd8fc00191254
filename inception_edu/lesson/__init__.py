"""How you check yourself: `check` your code, `predict` before you measure, `quiz`."""

from inception_edu.lesson.checking import check
from inception_edu.lesson.prediction import Prediction, predict
from inception_edu.lesson.progress import progress
from inception_edu.lesson.quiz import quiz

__all__ = ["Prediction", "check", "predict", "progress", "quiz"]
