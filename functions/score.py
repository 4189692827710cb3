"""Predict a share of the rows of a bulk prediction's files: the Lambda handler of the step ``score``."""

from perennial.aws.handler import step_handler
from perennial.steps import score

handler = step_handler(score.Request, score.run)
