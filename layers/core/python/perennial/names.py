"""What datasets, views, models and aliases may be called."""

from __future__ import annotations

import re

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
