"""What a user writes: datasets, feature views and models, as checked models of TOML and SQL files."""

from perennial.definitions.alarms import SIGNALS, Alarms, Expected, Signal, SignalName, SignalRule
from perennial.definitions.base import Definition, Duration, Expression, Length, Name, Scalar, parse_duration
from perennial.definitions.dataset import Bounds, Column, Dataset, FileRules, Rule
from perennial.definitions.delivery import LONGEST_DELIVERY, Delivery
from perennial.definitions.feature_view import FeatureView
from perennial.definitions.learning import METRICS, Candidate, Gate, Kind, Limit, Search, Space, Split, Task
from perennial.definitions.model import Log, Model, Retrain
from perennial.definitions.monitor import Monitor
from perennial.names import NAME

__all__ = [
    "LONGEST_DELIVERY",
    "METRICS",
    "NAME",
    "SIGNALS",
    "Alarms",
    "Bounds",
    "Candidate",
    "Column",
    "Dataset",
    "Definition",
    "Delivery",
    "Duration",
    "Expected",
    "Expression",
    "FeatureView",
    "FileRules",
    "Gate",
    "Kind",
    "Length",
    "Limit",
    "Log",
    "Model",
    "Monitor",
    "Name",
    "Retrain",
    "Rule",
    "Scalar",
    "Search",
    "Signal",
    "SignalName",
    "SignalRule",
    "Space",
    "Split",
    "Task",
    "parse_duration",
]
