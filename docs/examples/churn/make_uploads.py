"""Write uploads/statements.csv: 2,400 made-up statements of four months, the same ones every time."""

from __future__ import annotations

import csv
import math
import random
from datetime import datetime, timedelta
from pathlib import Path

COLUMNS = ["billed_at", "region", "plan", "payment", "months", "calls", "fee", "cancelled", "reason"]
FEES = {"basic": 19.9, "plus": 29.9, "family": 39.9}
RESTLESS = {"north": -0.4, "east": 0.0, "south": 0.2, "west": 0.6}


def main() -> None:
    """Write the file beside this script."""
    draw = random.Random(11)
    folder = Path(__file__).parent / "uploads"
    folder.mkdir(exist_ok=True)
    with (folder / "statements.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for number in range(2400):
            rows.writerow(statement(draw, datetime(2024, 1, 1) + timedelta(minutes=72 * number)))


def statement(draw: random.Random, billed_at: datetime) -> list[object]:
    """Return a row: who calls often, is new and pays by invoice tends to leave."""
    region, plan = draw.choice(sorted(RESTLESS)), draw.choice(sorted(FEES))
    payment = draw.choice(["card", "card", "debit", "invoice", ""])
    months, calls = int(draw.expovariate(1 / 20)), min(int(draw.expovariate(1.0)), 99)
    fee = round(FEES[plan] + draw.choice([0, 0, 5, 10]), 2)
    odds = -1.6 + RESTLESS[region] + 0.7 * calls - months / 25 + (fee - 30) / 20 + (1.2 if payment == "invoice" else 0)
    cancelled = draw.random() < 1 / (1 + math.exp(-odds))
    reason = ""
    if cancelled:
        weights = [2.5 if region == "west" else 0.6, 4.0 if fee > FEES[plan] else 0.8, 0.3 + 1.5 * calls]
        reason = draw.choices(["moved", "price", "service"], weights)[0]
    return [billed_at.isoformat(), region, plan, payment, months, calls, fee, str(cancelled).lower(), reason]


if __name__ == "__main__":
    main()
