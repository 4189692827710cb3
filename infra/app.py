"""The CDK app: ``cdk deploy -c stage=local|dev|prod -c definitions=DIR -c name=STACK -c auth=iam|jwt|api_key``."""

from __future__ import annotations

import sys
from pathlib import Path

from aws_cdk import App, CliCredentialsStackSynthesizer, Tags

from infra.code import DEFINITIONS
from infra.stack import Perennial
from infra.stage import CONTEXT, stage
from perennial.definitions.files import find_definitions, load_definitions
from perennial.errors import DefinitionError

FLAGS = {
    # One statement for each set of actions keeps policies readable and within their limits.
    "@aws-cdk/aws-iam:minimizePolicies": True,
    # The name of the role that EventBridge starts a machine with, and the like: the current behaviour everywhere.
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/aws-apigateway:disableCloudWatchRole": True,
    "@aws-cdk/aws-stepfunctions:useDistributedMapResultWriterV2": True,
    "aws:cdk:disable-version-reporting": True,
}


def build(app: App) -> Perennial:
    """Add the deployment that the context asks for.

    Raises
    ------
    DefinitionError
        A definition or a context value is wrong.
    """
    for flag, value in FLAGS.items():
        app.node.set_context(flag, value)
    callers = {name: app.node.try_get_context(name) for name in CONTEXT}
    chosen = stage(app.node.try_get_context("stage") or "dev", callers)
    folder = find_definitions(Path(app.node.try_get_context("definitions") or DEFINITIONS).resolve())
    name = app.node.try_get_context("name") or f"perennial-{chosen.name}"
    # The local cloud enforces IAM and has no bootstrap roles.
    synthesizer = CliCredentialsStackSynthesizer() if chosen.name == "local" else None
    stack = Perennial(
        app,
        name,
        stage=chosen,
        folder=folder,
        definitions=load_definitions(folder),
        synthesizer=synthesizer,
        termination_protection=chosen.retain,
    )
    Tags.of(stack).add("perennial", name)
    return stack


def main() -> None:
    """Synthesise; a definition that is wrong ends it with one sentence."""
    app = App()
    try:
        build(app)
    except DefinitionError as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
