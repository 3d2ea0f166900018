"""Vectors of numbers: standardised, logistic regression."""

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from training.trainers.pipeline import Inputs, PipelineTrainer
from training.trainers.port import Payload, TrainerError

# The variance of such values, summed over a hundred million rows, still fits a float64.
_LARGEST_VALUE: Final = 1e100


class NumericTrainer(PipelineTrainer):
    """Reads `payload["features"]`, a list of finite numbers, equally long in every row."""

    name: ClassVar[str] = "numeric"
    payload_key: ClassVar[str] = "features"

    def read(self, payloads: Sequence[Payload], *, width: int | None = None) -> NDArray[np.float64]:
        rows: list[list[float]] = []
        for row, payload in enumerate(payloads):
            features = payload.get(self.payload_key)
            if not isinstance(features, list) or not features:
                found = "is missing" if features is None else "is not a list of numbers"
                raise TrainerError(f"“{self.payload_key}” {found}", row=row)
            # bool is an int in Python, and JSON's true is not a number.
            if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in features):
                raise TrainerError(f"“{self.payload_key}” holds something that is not a number", row=row)
            if not all(abs(value) <= _LARGEST_VALUE for value in features):
                raise TrainerError(f"“{self.payload_key}” holds a number that is not finite or beyond 1e100", row=row)
            width = width or len(features)
            if len(features) != width:
                raise TrainerError(f"“{self.payload_key}” has {len(features)} numbers and not {width}", row=row)
            rows.append(features)
        return np.array(rows, dtype=np.float64)

    def obstacle(self, inputs: Inputs) -> str:
        return ""

    def pipeline(self) -> Pipeline:
        return Pipeline([("scale", StandardScaler()), ("classifier", LogisticRegression(C=1.0, max_iter=2000))])
