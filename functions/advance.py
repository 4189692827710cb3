"""Bring a version one move closer to the champion's place: the Lambda handler of the step ``advance``."""

from perennial.aws.handler import step_handler
from perennial.steps import advance

handler = step_handler(advance.Request, advance.run)
