"""What a user writes: datasets, feature views and models, as checked models of TOML and SQL files."""

from perennial.definitions.base import NAME, Definition, Duration, Expression, Length, Name, Scalar, parse_duration
from perennial.definitions.dataset import Bounds, Column, Dataset, FileRules, Rule
from perennial.definitions.feature_view import FeatureView
from perennial.definitions.model import Candidate, Gate, Model, Monitor, Retrain, Split

__all__ = [
    "NAME",
    "Bounds",
    "Candidate",
    "Column",
    "Dataset",
    "Definition",
    "Duration",
    "Expression",
    "FeatureView",
    "FileRules",
    "Gate",
    "Length",
    "Model",
    "Monitor",
    "Name",
    "Retrain",
    "Rule",
    "Scalar",
    "Split",
    "parse_duration",
]
