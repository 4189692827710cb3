"""Let a version serve: the Lambda handler of the step ``promote``."""

from perennial.aws.handler import step_handler
from perennial.steps import promote

handler = step_handler(promote.Request, promote.run)
