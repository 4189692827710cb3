"""MLflow: ``python mlflow_model.py MODEL FOLDER`` saves a joblib file for ``mlflow models serve``."""

import sys

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2], serialization_format="cloudpickle")
