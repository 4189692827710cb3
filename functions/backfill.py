"""Begin to ingest everything that was uploaded: the Lambda handler of the step ``backfill``."""

from perennial.aws.handler import step_handler
from perennial.steps import backfill

handler = step_handler(backfill.Request, backfill.run)
