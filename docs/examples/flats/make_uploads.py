"""Write uploads/flats.csv: 2,000 made-up contracts of four months, the same ones every time."""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

PRICES = {"north": 11.0, "east": 13.0, "south": 16.0, "west": 20.0}


def main() -> None:
    """Write the file beside this script."""
    draw = random.Random(5)
    folder = Path(__file__).parent / "uploads"
    folder.mkdir(exist_ok=True)
    with (folder / "flats.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["signed_at", "district", "area", "rooms", "balcony", "rent"])
        for number in range(2000):
            signed_at = datetime(2024, 1, 1) + timedelta(minutes=86 * number)
            district = draw.choice(sorted(PRICES))
            area = round(draw.uniform(20, 140), 1)
            rooms = max(1, round(area / 25))
            balcony = draw.random() < 0.5
            rent = area * PRICES[district] + (60 if balcony else 0) + draw.gauss(0, 40)
            rows.writerow(
                [signed_at.isoformat(), district, area, rooms, str(balcony).lower(), round(max(rent, 120), 2)]
            )


if __name__ == "__main__":
    main()
