"""Register the best candidate: the Lambda handler of the step ``register``."""

from perennial.aws.handler import step_handler
from perennial.steps import register

handler = step_handler(register.Request, register.run)
