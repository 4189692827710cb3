"""Begin to predict the rows of whole files: the Lambda handler of the step ``batch_predict``."""

from perennial.aws.handler import step_handler
from perennial.steps import batch_predict

handler = step_handler(batch_predict.Request, batch_predict.run)
