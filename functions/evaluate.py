"""Judge the candidates: the Lambda handler of the step ``evaluate``."""

from perennial.aws.handler import step_handler
from perennial.steps import evaluate

handler = step_handler(evaluate.Request, evaluate.run)
