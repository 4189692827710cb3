"""BentoML: ``bentoml serve bentoml_service:Fares``, with ``MODEL`` naming a joblib file."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Fares:
    """Predicts."""

    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        """Predict."""
        return self.model.predict(instances)
