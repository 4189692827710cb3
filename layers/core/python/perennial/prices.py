"""AWS's list prices, all of them in this file, and what jobs and predictions cost by them."""

from __future__ import annotations

import math
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


SERVING_SOURCE = (
    "AWS's pricing pages of Lambda, API Gateway, DynamoDB, CloudWatch and S3, US East (N. Virginia), on demand"
)
"""Where the figures below stand; what a whole account has free every month is not counted."""
LAMBDA_GIBIBYTE_SECOND = 0.0000133334
"""Dollars, of a function on ARM."""
LAMBDA_CALL = 0.20 / 1e6
"""Dollars of an invocation."""
LAMBDA_LEAST_SECONDS = 0.001
"""Durations are billed by the millisecond, rounded up."""
API_CALL = 3.50 / 1e6
"""Dollars of a call of a REST API, of the first 333 million a month."""
DYNAMODB_READ = 0.125 / 1e6
"""Dollars of reading an item of up to 4 KiB; half that where it need not be consistent."""
LOGS_GIBIBYTE = 0.50
"""Dollars of taking in a GiB of logs."""
S3_PUT = 0.005 / 1000
"""Dollars of writing an object."""


@dataclass(frozen=True)
class Call:
    """A call of the prediction API, as it is billed."""

    rows: int
    """Predictions in it."""
    seconds: float
    """How long ``predict`` runs."""
    mebibytes: int
    """Memory of ``predict``."""
    items: int
    """Online rows that are looked up."""
    logged_bytes: int
    """Length of its lines in the log."""
    collecting_seconds: float
    """How long ``log_predictions`` runs for it, at 1 GiB."""
    parts: float
    """Objects of the prediction log that it makes, its share of one as a rule."""

    def dollars(self) -> float:
        """Return what the call costs; storage, and what is sent to the caller, are not counted."""
        billed = math.ceil(self.seconds / LAMBDA_LEAST_SECONDS) * LAMBDA_LEAST_SECONDS
        running = LAMBDA_CALL + billed * self.mebibytes / 1024 * LAMBDA_GIBIBYTE_SECOND
        collecting = self.collecting_seconds * LAMBDA_GIBIBYTE_SECOND + self.parts * (S3_PUT + LAMBDA_CALL)
        looking_up = self.items * DYNAMODB_READ / 2
        logging = self.logged_bytes / 2**30 * LOGS_GIBIBYTE
        return API_CALL + running + collecting + looking_up + logging

    def dollars_per_million(self) -> float:
        """Return what a million predictions cost that are asked for by such calls."""
        return 1e6 * self.dollars() / self.rows


def always_on(size: JobSize, hours: float = 730) -> float:
    """Return what a server that is never off costs, in dollars a month: its container alone, no load balancer."""
    return hours * (size.vcpus * FARGATE_VCPU_HOUR + size.gibibytes * FARGATE_GIBIBYTE_HOUR)
