"""A deployment from a notebook: point-in-time correct frames, training sets, online features, and experiments.

Nothing that is deployed imports this package, and it is left out of what is deployed.

>>> from perennial.client import connect
>>> client = connect("local")  # doctest: +SKIP
>>> client.views()  # doctest: +SKIP
"""

from perennial.client.client import Client, connect
from perennial.client.experiments import Experiment

__all__ = ["Client", "Experiment", "connect"]
