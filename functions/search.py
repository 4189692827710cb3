"""Plan the next round of a search: the Lambda handler of the step ``search``."""

from perennial.aws.handler import step_handler
from perennial.steps import search

handler = step_handler(search.Request, search.run)
