"""Put a training set together: the Lambda handler of the step ``training_set``."""

from perennial.aws.handler import step_handler
from perennial.steps import training_set

handler = step_handler(training_set.Request, training_set.run)
