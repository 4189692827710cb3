"""A Dockerfile becomes a directory that a job can run from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.local import docker
from infra.local.dockerfile import DockerfileError, build, expand, instructions
from infra.local.images import Image, Store
from infra.local.jobs import Attempt, retries, substitute


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a build context with a program, a package and a folder."""
    folder = tmp_path / "context"
    (folder / "perennial" / "steps").mkdir(parents=True)
    (folder / "perennial" / "steps" / "train.py").write_text("TRAIN = 1\n")
    (folder / "batch.py").write_text("print('hello')\n")
    (folder / "requirements.txt").write_text("numpy\n")
    return folder


def build_text(text: str, context: Path, work: Path, **options: str) -> Image:
    return build(text, context=context, work=work, **options)  # type: ignore[arg-type]


def test_a_dockerfile_gives_files_a_working_directory_an_environment_and_a_command(
    context: Path, tmp_path: Path
) -> None:
    image = build_text(
        """
        # syntax=docker/dockerfile:1
        FROM python:3.13-slim
        WORKDIR /opt/perennial
        COPY requirements.txt .
        RUN pip install \\
            --require-hashes -r requirements.txt
        COPY perennial ./perennial
        COPY batch.py /app/
        ENV PYTHONPATH=/opt/perennial MODE="two words"
        USER 1000
        ENTRYPOINT ["python", "-m", "batch"]
        CMD ["train"]
        """,
        context,
        tmp_path / "work",
    )
    assert image.path("/opt/perennial/perennial/steps/train.py").read_text() == "TRAIN = 1\n"
    assert image.path("/app/batch.py").exists()
    assert image.directory() == image.path("/opt/perennial")
    assert image.env == {"PYTHONPATH": "/opt/perennial", "MODE": "two words"}
    assert image.command([]) == [sys.executable, "-m", "batch", "train"]
    assert image.command(["evaluate", "--model", "churn"]) == [
        sys.executable,
        "-m",
        "batch",
        "evaluate",
        "--model",
        "churn",
    ]
    assert [line.split()[0] for line in image.skipped] == ["FROM", "RUN", "USER"]


def test_paths_of_the_image_become_paths_of_the_machine_and_others_stay(context: Path, tmp_path: Path) -> None:
    image = build_text("FROM x\nCOPY perennial /opt/perennial\n", context, tmp_path / "work")
    inside = str(image.path("/opt/perennial"))
    environment = image.environment({"PYTHONPATH": "/opt/perennial:/opt/other", "PATH": "/usr/bin", "BUCKET": "data"})
    assert environment == {"PYTHONPATH": f"{inside}:/opt/other", "BUCKET": "data"}
    assert image.command(["/usr/bin/env", "/opt/perennial/steps/train.py"])[1] == f"{inside}/steps/train.py"


def test_a_later_stage_takes_what_an_earlier_one_holds_and_skips_what_only_run_would_have_made(
    context: Path, tmp_path: Path
) -> None:
    text = """
        FROM python AS build
        COPY perennial /built/perennial
        RUN pip install --target /packages numpy
        FROM python
        COPY --from=build /built/ /opt/
        COPY --from=build /packages /opt/packages
        COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv
        """
    image = build_text(text, context, tmp_path / "work")
    assert image.path("/opt/perennial/steps/train.py").exists()
    assert not image.path("/opt/packages").exists()
    assert build_text(text, context, tmp_path / "again", target="build").path("/built/perennial").exists()


def test_a_stage_that_stands_on_another_inherits_it(context: Path, tmp_path: Path) -> None:
    text = 'FROM x AS base\nWORKDIR /app\nENV A=1\nCOPY batch.py .\nCMD ["python"]\nFROM base\nENV B=$A\n'
    image = build_text(text, context, tmp_path / "work")
    assert (image.directory() / "batch.py").exists()
    assert image.env == {"A": "1", "B": "1"}
    assert image.command([]) == [sys.executable]


def test_build_arguments_replace_defaults(context: Path, tmp_path: Path) -> None:
    text = "ARG BASE=python\nFROM $BASE\nARG NAME=perennial\nWORKDIR /opt/${NAME}\n"
    assert build_text(text, context, tmp_path / "a").workdir == "/opt/perennial"
    changed = build(text, context=context, work=tmp_path / "b", arguments={"NAME": "other"})
    assert changed.workdir == "/opt/other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM x\nCOPY missing.py .\n", "there is no missing.py"),
        ("WORKDIR /app\n", "does not begin with FROM"),
    ],
)
def test_what_cannot_be_built_says_why(text: str, message: str, context: Path, tmp_path: Path) -> None:
    with pytest.raises(DockerfileError, match=message):
        build_text(text, context, tmp_path / "work")


def test_continued_lines_are_one_instruction_and_comments_are_none() -> None:
    text = "# a comment\nRUN one && \\\n    # inside\n    two\n\nenv A=1\n"
    assert list(instructions(text)) == [("RUN", "one &&  two"), ("ENV", "A=1")]


@pytest.mark.parametrize(("text", "expected"), [("$A/x", "1/x"), ("${A}b", "1b"), ("${B:-two}", "two"), ("$B", "")])
def test_variables_expand_as_in_a_shell(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


def test_docker_builds_tags_and_finds_images_as_the_cdk_cli_asks(context: Path, tmp_path: Path) -> None:
    (context / "Dockerfile").write_text(
        'FROM python\nCOPY batch.py /app/\nWORKDIR /app\nENTRYPOINT ["python", "batch.py"]\n'
    )
    store = ["--store", str(tmp_path / "images")]
    pushed = "000000000000.dkr.ecr.us-east-1.amazonaws.com/assets:1234"
    assert docker.main([*store, "inspect", "cdkasset-1234"]) == 1
    arm = ["--platform", "linux/arm64", "--build-arg", "A=1"]
    assert docker.main([*store, "build", "--tag", "cdkasset-1234", *arm, str(context)]) == 0
    assert docker.main([*store, "login", "--username", "AWS", "--password-stdin", "https://registry"]) == 0
    assert docker.main([*store, "tag", "cdkasset-1234", pushed]) == 0
    assert docker.main([*store, "push", pushed]) == 0
    image = Store(tmp_path / "images").image(pushed)
    assert image.command(["train"]) == [sys.executable, "batch.py", "train"]
    assert (image.directory() / "batch.py").exists()


def test_parameters_replace_whole_arguments_and_unknown_ones_stay() -> None:
    command = ["train", "Ref::model", "--run=Ref::run", "Ref::unknown"]
    assert substitute(command, {"model": "churn", "run": "1"}) == ["train", "churn", "--run=Ref::run", "Ref::unknown"]


ON_EXIT = {
    "attempts": 3,
    "evaluateOnExit": [
        {"onExitCode": "20", "action": "RETRY"},
        {"onStatusReason": "Host EC2*", "action": "retry"},
        {"onExitCode": "*", "action": "EXIT"},
    ],
}


@pytest.mark.parametrize(
    ("strategy", "attempt", "number", "expected"),
    [
        (ON_EXIT, Attempt(20, "Essential container in task exited"), 1, True),
        (ON_EXIT, Attempt(10, "Essential container in task exited"), 1, False),
        (ON_EXIT, Attempt(1, "Host EC2 (instance i-1) terminated."), 1, True),
        (ON_EXIT, Attempt(20, "Essential container in task exited"), 3, False),
        (ON_EXIT, Attempt(20, "Job attempt duration exceeded timeout", final=True), 1, False),
        # "If none of the listed conditions match, then the job is retried."
        ({"attempts": 2, "evaluateOnExit": [{"onExitCode": "7", "action": "EXIT"}]}, Attempt(1, "exited"), 1, True),
        ({"attempts": 2}, Attempt(1, "exited"), 1, True),
        ({}, Attempt(1, "exited"), 1, False),
    ],
)
def test_a_failed_attempt_is_retried_by_batchs_rules(
    strategy: dict[str, object], attempt: Attempt, number: int, expected: bool
) -> None:
    assert retries(strategy, attempt, number) is expected
