"""Record that a run failed: the Lambda handler of the step ``fail``."""

from perennial.aws.handler import step_handler
from perennial.steps import fail

handler = step_handler(fail.Request, fail.run)
