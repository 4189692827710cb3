"""AWS's list prices, all of them in this file, and what a job costs by them."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11"
"""When the figures below were looked up."""
SOURCE = "AWS Fargate pricing, US East (N. Virginia), Linux/ARM, on demand"
"""Where they stand; other regions are up to a third dearer, and a search's ``cost`` counts by these all the same."""
FARGATE_VCPU_HOUR = 0.03238
"""Dollars for one virtual processor and hour."""
FARGATE_GIBIBYTE_HOUR = 0.00356
"""Dollars for one GiB of memory and hour."""
FARGATE_LEAST_SECONDS = 60.0
"""What is billed of a job that takes less."""


@dataclass(frozen=True)
class JobSize:
    """What a job is given, and billed for."""

    vcpus: float = 2
    """Virtual processors."""
    gibibytes: float = 8
    """Memory."""

    def dollars(self, seconds: float) -> float:
        """Return what a job of this size costs that runs for some seconds; its start and its disk are not counted."""
        hourly = self.vcpus * FARGATE_VCPU_HOUR + self.gibibytes * FARGATE_GIBIBYTE_HOUR
        return hourly * max(seconds, FARGATE_LEAST_SECONDS) / 3600
