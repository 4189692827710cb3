"""Decide whether a training run may start: the Lambda handler of the step ``admit``."""

from perennial.aws.handler import step_handler
from perennial.steps import admit

handler = step_handler(admit.Request, admit.run)
