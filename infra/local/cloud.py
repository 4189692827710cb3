"""The local cloud's lifecycle: start it, find it again, stop it and leave nothing behind."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local.jobs import end_left, process_of
from infra.local.launcher import HOST
from perennial.client import deployment

DEFAULT_STATE = deployment.STATE
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_LOG = "emulator.log"
_DOCKER = "docker"
_UNWANTED = (
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
# A state directory in a work tree ignores itself; and what does not hold this file is not ours to remove.
_MARK = "# The local cloud's files; `perennial down` removes them.\n*\n"
# What CliCredentialsStackSynthesizer publishes to; ``cdk bootstrap`` would make them in an account.
_ASSETS = "cdk-hnb659fds-assets-{account}-{region}"
_CONTAINERS = "cdk-hnb659fds-container-assets-{account}-{region}"


class CloudError(RuntimeError):
    """The local cloud could not be started or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Endpoint(deployment.Endpoint):
    """Where a local cloud answers, and how other programs are led to it."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which a child process, such as the CDK CLI, uses this cloud alone."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CDK_DEFAULT_ACCOUNT": self.account,
            "CDK_DEFAULT_REGION": self.region,
            "CDK_DOCKER": str(self.state / _DOCKER),
            # The CDK's own check of a template takes as long as the rest of the synthesis, and is for what goes to AWS.
            "CDK_VALIDATION": "false",
            # What is on this machine is not reached through a proxy.
            "NO_PROXY": HOST,
            "no_proxy": HOST,
        }

    def unwanted(self) -> tuple[str, ...]:
        """Return the variables that must not reach such a process: they would lead it elsewhere."""
        return (*_UNWANTED, *(name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_")))


@dataclass(frozen=True)
class LocalCloud:
    """One instance of the local cloud; its files are in ``state`` and nowhere else.

    Examples
    --------
    >>> endpoint = LocalCloud().start()  # doctest: +SKIP
    >>> endpoint.client("s3").list_buckets()  # doctest: +SKIP
    """

    state: Path = DEFAULT_STATE
    ends_with_caller: bool = False
    """Whether the cloud that this starts ends, and removes its files, as soon as this process has, however it ended."""

    def start(self) -> Endpoint:
        """Start the cloud unless it runs; returns when it answers.

        Raises
        ------
        CloudError
            If the emulator does not come up; the message holds the end of its log.
        """
        with self._locked():
            endpoint = self._endpoint()
            if endpoint is None or not endpoint.answers():
                self._end()
                endpoint = self._launch()
            if not (self._state / _DOCKER).exists():  # made last: an interrupted start is completed by the next
                self._prepare(endpoint)
            return endpoint

    def status(self) -> Endpoint | None:
        """Return the endpoint if the cloud runs, else None."""
        endpoint = self._endpoint()
        return endpoint if endpoint is not None and endpoint.answers() else None

    def stop(self) -> bool:
        """End the emulator, its functions and its jobs, and remove the state; returns whether there was one."""
        if not self._state.exists():
            return False
        with self._locked():
            existed = self._endpoint() is not None
            self._end()
            return existed

    def log(self) -> Path:
        """Return the file with the emulator's own log."""
        return self._state / _LOG

    @property
    def _state(self) -> Path:
        return self.state.resolve()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Beside the state, which is removed and made again while the lock is held.
        path = self._state.with_name(f"{self._state.name}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with path.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                # Who held it before has removed it: then this lock is on a file nobody else will find.
                if not path.exists() or path.stat().st_ino != os.fstat(lock.fileno()).st_ino:
                    continue
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return

    def _endpoint(self) -> Endpoint | None:
        return Endpoint.recorded(self._state)

    def _launch(self) -> Endpoint:
        self._state.mkdir(parents=True)
        (self._state / ".gitignore").write_text(_MARK)
        command = [sys.executable, "-P", "-m", "infra.local.launcher", "--state", str(self._state)]
        with self.log().open("wb") as log, self._life() as life:
            command += ["--until-stdin-ends"] if self.ends_with_caller else []
            process = subprocess.Popen(
                command, stdin=life, stdout=log, stderr=log, cwd=self._state, start_new_session=True
            )
        try:
            endpoint = self._await(process)
        except BaseException:
            _end_group(process.pid)
            self._remove()
            raise
        # It outlives this program on purpose: Python need neither warn of that nor wait for it.
        process.returncode = 0
        return endpoint

    @contextmanager
    def _life(self) -> Iterator[int]:
        """Yield the cloud's standard input: a pipe that ends with this process, or nothing."""
        if not self.ends_with_caller:
            yield subprocess.DEVNULL
            return
        life, _ = os.pipe()  # the other end is closed by nobody but the system, and no child inherits it
        try:
            yield life
        finally:
            os.close(life)

    def _await(self, process: subprocess.Popen[bytes]) -> Endpoint:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            endpoint = self._endpoint()
            if endpoint is not None and endpoint.answers():
                return endpoint
            time.sleep(0.05)
        tail = "\n".join(self.log().read_text(errors="replace").splitlines()[-5:])
        raise CloudError(f"the local cloud did not start:\n{tail}")

    def _prepare(self, endpoint: Endpoint) -> None:
        names = {"account": endpoint.account, "region": endpoint.region}
        endpoint.client("s3").create_bucket(Bucket=_ASSETS.format(**names))
        ecr = endpoint.client("ecr")
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName=_CONTAINERS.format(**names))
        words = [sys.executable, "-P", "-m", "infra.local.docker", "--store", str(self._state / "images")]
        draft = self._state / f"{_DOCKER}.new"
        draft.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        draft.chmod(0o700)
        draft.replace(self._state / _DOCKER)

    def _end(self) -> None:
        endpoint = self._endpoint()
        if endpoint is not None and str(self._state) in process_of(endpoint.pid)[1]:
            _end_group(endpoint.pid)
        end_left(self._state)
        self._remove()

    def _remove(self) -> None:
        if not self._state.exists():
            return
        mark = self._state / ".gitignore"
        ours = self._endpoint() is not None or (mark.exists() and mark.read_text() == _MARK)
        if not ours and any(self._state.iterdir()):
            raise CloudError(f"{self.state} holds other files: name another directory for the local cloud")
        # What is being killed may still write: files left without the mark would be taken for somebody else's.
        deadline = time.monotonic() + _STOP_SECONDS
        while self._state.exists() and time.monotonic() < deadline:
            shutil.rmtree(self._state, ignore_errors=True)


def _end_group(leader: int) -> None:
    """End the emulator and its functions, gently and then by force; returns when they are gone."""
    with suppress(ProcessLookupError):
        os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    while _alive(leader):
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):  # its own child would stay a zombie until it is waited for
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    # Another process's child may stay a zombie for long; it has ended all the same.
    return process_of(pid)[0] not in ("", "Z")
