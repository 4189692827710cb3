"""Try a version before it serves: the Lambda handler of the step ``smoke``."""

from perennial.aws.handler import step_handler
from perennial.steps import smoke

handler = step_handler(smoke.Request, smoke.run)
