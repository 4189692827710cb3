"""Say what a backfill came to: the Lambda handler of the step ``gather``."""

from perennial.aws.handler import step_handler
from perennial.steps import gather

handler = step_handler(gather.Request, gather.run)
