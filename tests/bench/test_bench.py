"""The benchmarks run; what they print is for reading, not for gating."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_ingest_benchmark_prints_ratios() -> None:
    script = Path(__file__).with_name("ingest.py")
    done = subprocess.run([sys.executable, str(script), "2000"], capture_output=True, text=True, check=True)

    assert done.stdout.count("× as fast") == 3
