"""FastAPI and scikit-learn: ``uvicorn fastapi_sklearn:app``, with ``MODEL`` naming a joblib file."""

import os

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


class Rows(BaseModel):
    """Features of each row."""

    instances: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> dict[str, list[float]]:
    """Predict."""
    return {"predictions": model.predict(np.array(rows.instances)).tolist()}


@app.get("/ready")
def ready() -> dict[str, bool]:
    """Tell that it answers."""
    return {"ready": True}
