"""Short texts: TF-IDF of words and character sequences, logistic regression."""

import re
from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline

from training.trainers.pipeline import Inputs, PipelineTrainer
from training.trainers.port import Payload, TrainerError

# Unlike scikit-learn's default this keeps one-letter words ("I", "5", "я").
_WORD: Final = r"(?u)\b\w+\b"


class TextTrainer(PipelineTrainer):
    """Reads `payload["text"]`.

    Words and pairs of words carry the topic; sequences of 2 to 4 characters within a word carry word stems, typing errors
    and languages that do not put spaces between words. An empty text is allowed: it gets what the classes' base rates say.
    """

    name: ClassVar[str] = "text"
    payload_key: ClassVar[str] = "text"

    def read(self, payloads: Sequence[Payload], *, width: int | None = None) -> NDArray[np.object_]:
        texts: list[str] = []
        for row, payload in enumerate(payloads):
            text = payload.get(self.payload_key)
            if not isinstance(text, str):
                found = "is missing" if text is None else f"is not a string but {type(text).__name__}"
                raise TrainerError(f"“{self.payload_key}” {found}", row=row)
            texts.append(text)
        return np.array(texts, dtype=np.object_)

    def obstacle(self, inputs: Inputs) -> str:
        return "" if any(re.search(r"\w", text) for text in inputs) else "no text contains a word"

    def pipeline(self) -> Pipeline:
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_WORD, sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
        return Pipeline(
            [
                ("features", FeatureUnion([("words", words), ("characters", characters)])),
                # With many classes Newton steps need two to three times less time than the default solver.
                ("classifier", LogisticRegression(C=30.0, solver="newton-cg", max_iter=200)),
            ]
        )
