"""A deployment from a notebook: point-in-time correct frames, snapshots, training sets and online features.

Nothing that is deployed imports this package, and it is left out of what is deployed.

>>> from perennial.client import connect
>>> client = connect("local")  # doctest: +SKIP
>>> client.views()  # doctest: +SKIP
"""

from perennial.client.client import Client, connect

__all__ = ["Client", "connect"]
