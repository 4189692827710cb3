"""Tell people of alarms: the Lambda handler of CloudWatch's event about an alarm's state."""

from perennial.aws.handler import step_handler
from perennial.steps import tell

handler = step_handler(tell.Request, tell.run)
