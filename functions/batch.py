"""The container: ``python batch.py <step> '<json request>'`` runs any step, under the same contract as Lambda."""

import json
import logging
import sys
from importlib import import_module

from perennial.aws import runtime
from perennial.aws.handler import parse_event, with_array_index
from perennial.errors import DefinitionError, PerennialError, TransientError
from perennial.ports import Ports

STEPS: tuple[str, ...] = ("ingest", "backfill", "gather", "features", "forget", "admit", "training_set", "search")
STEPS += ("trial", "train", "take_submission", "evaluate", "register", "ask_approval", "settle_approval", "smoke")
STEPS += ("advance", "promote", "fail", "rebuild", "batch_predict", "score", "collect")
DONE, WRONG, TRANSIENT = 0, 10, 20
log = logging.getLogger("perennial")


def main(arguments: list[str], ports: Ports | None = None) -> int:
    """Run one step and return the exit code: 0 done, 10 what was given is wrong, 20 the same may succeed later."""
    try:
        if len(arguments) != 2 or arguments[0] not in STEPS:
            raise DefinitionError(f"usage: batch.py <step> '<json request>', with a step of {', '.join(STEPS)}")
        step = import_module(f"perennial.steps.{arguments[0]}")
        request = parse_event(step.Request, with_array_index(json.loads(arguments[1])), arguments[0])
        result = step.run(request, ports or runtime.ports())
    except TransientError as error:
        log.error("TransientError: %s", error)
        return TRANSIENT
    except (PerennialError, json.JSONDecodeError) as error:
        log.error("%s: %s", type(error).__name__, error)
        return WRONG
    log.info("done: %s", result.model_dump_json())
    return DONE


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(main(sys.argv[1:]))
