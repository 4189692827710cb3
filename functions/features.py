"""Compute a dataset's feature views: the Lambda handler of the step ``features``."""

from perennial.aws.handler import step_handler
from perennial.steps import features

handler = step_handler(features.Request, features.run)
