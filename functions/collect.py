"""Say what a bulk prediction came to: the Lambda handler of the step ``collect``."""

from perennial.aws.handler import step_handler
from perennial.steps import collect

handler = step_handler(collect.Request, collect.run)
