"""Take in an uploaded file: the Lambda handler of the step ``ingest``."""

from perennial.aws.handler import step_handler
from perennial.steps import ingest

handler = step_handler(ingest.Request, ingest.run)
