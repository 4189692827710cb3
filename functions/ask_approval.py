"""Put a version before people: the Lambda handler of the step ``ask_approval``."""

from perennial.aws.handler import step_handler
from perennial.steps import ask_approval

handler = step_handler(ask_approval.Request, ask_approval.run)
