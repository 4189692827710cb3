"""Say what people decided: the Lambda handler of the step ``settle_approval``."""

from perennial.aws.handler import step_handler
from perennial.steps import settle_approval

handler = step_handler(settle_approval.Request, settle_approval.run)
