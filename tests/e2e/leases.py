"""A rental agency whose callers' e-mail addresses and incomes are masked: what it defines, learns from and asks."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.shell import Shell

MODEL = "rent"
_DATASET = """event_time = "signed_at"
[columns]
signed_at = { type = "timestamp" }
email = { type = "string", tags = ["pii"] }
income = { type = "double", tags = ["pii"] }
area = { type = "double", min = 0 }
rent = { type = "double", nullable = true }
"""
_VIEW = """-- kind: request
-- dataset: leases
SELECT area, income, length(email) AS letters, ln(1 + income) AS wealth FROM leases
"""
_MODEL = """dataset = "leases"
target = "rent"
[features]
lease = ["area", "income", "letters", "wealth"]
[split]
holdout = "10 days"
[[candidates]]
name = "ridge"
algorithm = "ridge"
[gate]
beat_baseline = false
min_improvement = 0.9
[retrain]
min_rows = 100
[delivery]
canary = [0.5]
bake = "3 seconds"
min_rows = 20
max_latency_ratio = 50
patience = "3 minutes"
"""
"""Its first version serves, and no later one unless a person wants it."""
INCOME = "654321098"
"""How every income that is sent begins: too long to be among the digits of other numbers by chance."""
_START = datetime(2019, 1, 1)


def write_definitions(folder: Path) -> None:
    """Write the folder that is deployed."""
    for name, text in {
        "datasets/leases.toml": _DATASET,
        "features/lease.sql": _VIEW,
        "models/rent.toml": _MODEL,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def signed_leases(count: int = 960, first: int = 0, price: float = 12.0) -> str:
    """Return leases that were signed, one an hour, at a price of each square metre."""
    dice = random.Random(first)
    lines = ["signed_at,email,income,area,rent"]
    for number in range(first, first + count):
        area, income = dice.uniform(20, 150), dice.uniform(1000, 9000)
        at = _START + timedelta(hours=number)
        lines.append(f"{at},{'x' * (number % 9 + 1)}@example.org,{income},{area},{price * area + income / 100}")
    return "\n".join(lines) + "\n"


def wanted_lease(number: int) -> dict[str, Any]:
    """Return a lease whose rent is asked, another for each number."""
    return {
        "signed_at": "2019-03-01 08:30:00",
        "email": f"secret-{number}@example.org",
        "income": float(f"{INCOME}0") + number % 10,
        "area": 20.0 + number % 10_000 / 16,
        "rent": None,
    }


def features_of(lease: dict[str, Any]) -> dict[str, float]:
    """Return what the view makes of a lease, worked out without it."""
    income = lease["income"]
    values = {"area": lease["area"], "income": income, "letters": len(lease["email"]), "wealth": math.log(1 + income)}
    return {f"lease__{name}": float(value) for name, value in values.items()}


def deploy_agency(folder: Path) -> Shell:
    """Deploy it on a local cloud in a folder, and upload what its first version learns from."""
    write_definitions(folder / "definitions")
    (folder / "leases.csv").write_text(signed_leases())
    shell = Shell(folder)
    shell.json("up", "--definitions", "definitions")
    shell.json("upload", "leases", "leases.csv")
    return shell
