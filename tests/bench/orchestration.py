"""What a step costs that does nothing: our state machines on the local cloud, against Metaflow's local run.

    uv run --with metaflow python -m tests.bench.orchestration [STEPS [ROUNDS]] [--deployed FOLDER]

Both run a chain of so many empty steps. A step here is a Lambda function that says when its work began and ended; what
is left of the execution's time is orchestration. A step of Metaflow is a process of its own. With ``--deployed``, the
records of the latest training run of the local cloud of a folder are looked at besides: the time between the end of a
step and the start of the next.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from infra.deployment import Deployment
from infra.local.cloud import Endpoint, LocalCloud
from perennial.records import StepRecord

HANDLER = """
import time
def handler(event, context):
    began = time.time()
    return {"began": began, "ended": time.time()}
"""
ANYBODY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}


def main(steps: int, rounds: int, deployed: Path | None) -> None:
    """Print milliseconds a step and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Path(folder) / "state", ends_with_caller=True)
        try:
            seconds = [chain(cloud.start(), steps, number) for number in range(rounds + 1)]
        finally:
            cloud.stop()
        ours = min(seconds[1:])
        print(f"{steps} empty steps, the fastest of {rounds} rounds after a first that starts the function")
        print(
            f"local cloud: {1000 * ours / steps:.1f} ms a step (in the first round {1000 * seconds[0] / steps:.1f} ms)"
        )
        if importlib.util.find_spec("metaflow") is None:
            print("metaflow is not installed: uv run --with metaflow python -m tests.bench.orchestration")
        else:
            theirs = min(metaflow(Path(folder), steps) for _ in range(rounds))
            print(f"Metaflow, local run: {1000 * theirs / steps:.1f} ms a step, the start of the command included")
            print(f"local cloud / Metaflow = {ours / theirs:.3f}")
    if deployed is not None:
        told(deployed)
    print(
        "caveat: a local emulator is not AWS, where a transition takes tens of milliseconds, a cold function hundreds"
    )
    print("and a Batch job on Fargate half a minute and more; Metaflow on AWS (Batch, Step Functions) was not measured")


def chain(endpoint: Endpoint, steps: int, number: int) -> float:
    """Run a chain of empty steps on the local cloud; return the seconds of the execution that were no step's work."""
    function = _function(endpoint) if number == 0 else "empty"
    states = {
        f"step {place}": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function},
            "ResultSelector": {"work.$": "$.Payload"},
            "ResultPath": f"$.s{place}",
            **({"Next": f"step {place + 1}"} if place + 1 < steps else {"End": True}),
        }
        for place in range(steps)
    }
    client = endpoint.client("stepfunctions")
    machine = client.create_state_machine(
        name=f"chain-{number}",
        definition=json.dumps({"StartAt": "step 0", "States": states}),
        roleArn="arn:aws:iam::000000000000:role/nothing",
    )["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    while (described := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.01)
    assert described["status"] == "SUCCEEDED", described
    output: dict[str, Any] = json.loads(described["output"])
    work = sum(each["work"]["ended"] - each["work"]["began"] for each in output.values())
    began: datetime = described["startDate"]
    ended: datetime = described["stopDate"]
    return (ended - began).total_seconds() - work


def _function(endpoint: Endpoint) -> str:
    role = endpoint.client("iam").create_role(RoleName="nothing", AssumeRolePolicyDocument=json.dumps(ANYBODY))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("main.py", HANDLER)
    made = endpoint.client("lambda").create_function(
        FunctionName="empty",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="main.handler",
        Code={"ZipFile": content.getvalue()},
        Timeout=20,
    )
    return str(made["FunctionArn"])


def metaflow(folder: Path, steps: int) -> float:
    """Run a flow of as many empty steps by Metaflow's local scheduler; return its seconds."""
    names = ["start", *(f"step{place}" for place in range(1, steps - 1)), "end"]
    lines = ["from metaflow import FlowSpec, step", "", "", "class Empty(FlowSpec):"]
    for name, following in pairwise([*names, ""]):
        body = f"self.next(self.{following})" if following else "pass"
        lines += ["    @step", f"    def {name}(self):", f"        {body}", ""]
    (folder / "flow.py").write_text("\n".join([*lines, "", 'if __name__ == "__main__":', "    Empty()", ""]))
    environment = {
        **os.environ,
        "METAFLOW_HOME": str(folder),
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_USER": "bench",
        "USERNAME": "bench",
    }
    began = time.perf_counter()
    command = [sys.executable, "flow.py", "--quiet", "run"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def told(folder: Path) -> None:
    """Print what passed between the steps of the latest training run of a folder's local cloud."""
    catalog = Deployment.connect("local", state=folder / ".perennial").ports.catalog
    runs = [run for run in catalog.runs(20, kind="train") if run.status == "succeeded"]
    if not runs:
        print("no training run has succeeded there")
        return
    steps = catalog.steps(runs[0].run_id)
    pauses = gaps(steps)
    work = sum((step.ended_at - step.started_at).total_seconds() for step in steps if step.ended_at)
    print(
        f"training run {runs[0].run_id[:8]}: {len(steps)} steps, {work:.1f} s of work, "
        f"{1000 * sum(pauses) / max(len(pauses), 1):.0f} ms between two steps (functions and jobs start in them)"
    )


def gaps(steps: Sequence[StepRecord]) -> list[float]:
    """Return the seconds during which no step worked, each between two that did."""
    found, until = [], None
    for step in sorted(steps, key=lambda step: step.started_at):
        if until is not None and step.started_at > until:
            found.append((step.started_at - until).total_seconds())
        if step.ended_at is not None:
            until = step.ended_at if until is None else max(until, step.ended_at)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("steps", type=int, nargs="?", default=20)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--deployed", type=Path)
    given = parser.parse_args()
    main(max(given.steps, 2), max(given.rounds, 1), given.deployed)
