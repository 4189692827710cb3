"""FastAPI and onnxruntime: ``uvicorn fastapi_onnx:app``, with ``MODEL`` naming an ONNX file."""

import os

import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


class Rows(BaseModel):
    """Features of each row."""

    instances: list[list[float]]


@app.post("/predict")
def predict(rows: Rows) -> dict[str, list[float]]:
    """Predict."""
    found = session.run(None, {name: np.array(rows.instances, dtype=np.float64)})[0]
    return {"predictions": found.ravel().tolist()}


@app.get("/ready")
def ready() -> dict[str, bool]:
    """Tell that it answers."""
    return {"ready": True}
