"""Write uploads/: made-up rides and weather of two months, and a correction, the same ones every time."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

UPLOADS = Path(__file__).parent / "uploads"
DISTRICTS = ("harbour", "hill", "old_town")
COLUMNS = ("ride", "rider", "district", "began", "minutes", "paid")
START = datetime(2018, 5, 1)


def main() -> None:
    """Write the files beside this script."""
    UPLOADS.mkdir(exist_ok=True)
    draw = random.Random(7)
    rides = []
    for number in range(600):
        began = START + timedelta(minutes=140 * number + draw.randrange(140))
        minutes = round(draw.uniform(3, 90), 1)
        rider, district = f"u{draw.randrange(40)}", draw.choice(DISTRICTS)
        rides.append((f"r{number}", rider, district, f"{began:%Y-%m-%d %H:%M:%S}", minutes, f"{1 + minutes / 10:.2f}"))
    for month in ("2018-05", "2018-06"):
        write_rides(f"rides_{month}.csv", [ride for ride in rides if ride[3].startswith(month)])
    wrong = next(ride for ride in rides if ride[3].startswith("2018-06"))
    write_rides("rides_2018-06_correction.csv", [(*wrong[:2], "hill", *wrong[3:])])
    lines = []
    for step in range(4 * 61):
        for district in DISTRICTS:
            at = f"{START + timedelta(hours=6 * step):%Y-%m-%dT%H:%M:%SZ}"
            rain = None if draw.random() < 0.05 else round(max(0.0, draw.gauss(0, 2)), 1)
            lines.append(json.dumps({"district": district, "measured_at": at, "rain": rain}))
    (UPLOADS / "weather.jsonl").write_text("\n".join(lines) + "\n")


def write_rides(name: str, rides: Sequence[Sequence[object]]) -> None:
    """Write a file of rides."""
    with (UPLOADS / name).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rides])


if __name__ == "__main__":
    main()
