"""Batch jobs as processes: attempts, retries, timeouts, logs; at most one job per processor at once."""

from __future__ import annotations

import contextvars
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Job = dict[str, Any]
EXITED = "Essential container in task exited"
TIMED_OUT = "Job attempt duration exceeded timeout"
# AWS waits 30 s between asking a container to end and killing it; on one's own machine that is only waiting.
_GRACE_SECONDS = 2.0
# A job writes its own record before it begins: an emulator that is killed between starting a process and writing
# would leave one that nobody knows. Without the directory (the cloud is being cleaned up) it does not begin.
_RECORDED = 'printf %s "$1" > "$0/$$.new" && mv "$0/$$.new" "$0/$$" && shift && exec "$@"'
RECORDS = "jobs"
"""Directory of the records of running processes, within a local cloud's state."""


@dataclass(frozen=True)
class Start:
    """What a job's process is started with."""

    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str]


@dataclass
class Attempt:
    """How one attempt of a job ended; ``reason`` is the container's, ``status_reason`` the job's."""

    exit_code: int | None
    status_reason: str
    reason: str = ""
    final: bool = False  # never retried: the job timed out or was terminated
    started: int = 0
    stopped: int = 0


def substitute(command: Sequence[str], parameters: Mapping[str, str]) -> list[str]:
    """Replace each argument ``Ref::name`` by the parameter; one without a value stays as it is."""
    return [
        parameters.get(argument.removeprefix("Ref::"), argument) if argument.startswith("Ref::") else argument
        for argument in command
    ]


def _matches(pattern: str | None, value: str) -> bool:
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return value.lower().startswith(pattern[:-1].lower())
    return value.lower() == pattern.lower()


def retries(strategy: Mapping[str, Any], attempt: Attempt, number: int) -> bool:
    """Return whether Batch starts another attempt.

    Parameters
    ----------
    strategy : mapping
        The job's ``retryStrategy``: ``attempts`` and the conditions ``evaluateOnExit``. The first condition
        whose patterns all match decides; if there is none, the job is retried.
    attempt : Attempt
        The attempt that failed.
    number : int
        How many attempts were made.
    """
    if attempt.final or number >= int(strategy.get("attempts") or 1):
        return False
    code = "" if attempt.exit_code is None else str(attempt.exit_code)
    for condition in strategy.get("evaluateOnExit") or []:
        if (
            _matches(condition.get("onExitCode"), code)
            and _matches(condition.get("onReason"), attempt.reason)
            and _matches(condition.get("onStatusReason"), attempt.status_reason)
        ):
            return str(condition.get("action", "")).upper() == "RETRY"
    return True


def now() -> int:
    """Return the time in milliseconds, as Batch gives it."""
    return int(time.time() * 1000)


@dataclass
class Runner:
    """Runs jobs in the order they came.

    Parameters
    ----------
    directory : Path
        Where a file per running process is kept, so that a later ``stop`` finds what a killed emulator left.
    prepare : callable
        Gives the command, directory and environment of a job's next attempt; raises ``LookupError`` with the
        reason when the job cannot start.
    log : callable
        Takes the job and lines of its output.
    changed : callable
        Takes a job whose status has changed.
    """

    directory: Path
    prepare: Callable[[Job, int], Start]
    log: Callable[[Job, list[str]], None]
    changed: Callable[[Job], None] = lambda _: None
    _running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _terminated: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="batch")

    def submit(self, job: Job) -> None:
        """Queue a job; its description is brought up to date as it goes."""
        self._set(job, "RUNNABLE")
        # The emulator keeps its resources by account and region, which it carries in the context.
        self._pool.submit(contextvars.copy_context().run, self._run, job)

    def terminate(self, job: Job, reason: str) -> None:
        """End a job, whatever its state; ``reason`` becomes its status reason."""
        if job["status"] in ("SUCCEEDED", "FAILED"):
            return
        with self._lock:
            self._terminated[job["jobId"]] = reason
            process = self._running.get(job["jobId"])
        job["isTerminated"] = True
        if process is not None:
            end(process.pid)
        else:
            self._finish(job, Attempt(None, reason, final=True))

    def stop(self) -> None:
        """End every job at once."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = list(self._running.values())
        for process in running:
            _signal(process.pid, signal.SIGKILL)

    def _run(self, job: Job) -> None:
        number = 0
        while not self._stopped and job["jobId"] not in self._terminated:
            number += 1
            try:
                attempt = self._attempt(job, number)
            except (OSError, LookupError, TypeError, ValueError, RuntimeError) as error:  # it did not start
                attempt = Attempt(
                    None, f"CannotStartContainerError: {error}", reason=f"CannotStartContainerError: {error}"
                )
            if attempt.exit_code == 0 or not retries(job["retryStrategy"], attempt, number):
                self._finish(job, attempt)
                return
            self._set(job, "RUNNABLE")

    def _attempt(self, job: Job, number: int) -> Attempt:
        self._set(job, "STARTING")
        try:
            start = self.prepare(job, number)
        except LookupError as error:
            return Attempt(None, str(error), reason=str(error))
        if shutil.which(start.command[0], path=start.environment.get("PATH")) is None:
            raise FileNotFoundError(f"no such program: {start.command[0]}")
        process = subprocess.Popen(
            ["/bin/sh", "-c", _RECORDED, str(self.directory), json.dumps(list(start.command)), *start.command],
            cwd=start.directory,
            env=dict(start.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # so that a job's own children end with it
        )
        with self._lock:
            self._running[job["jobId"]] = process
        try:
            return self._watch(job, process)
        finally:
            with self._lock:
                del self._running[job["jobId"]]
            (self.directory / str(process.pid)).unlink(missing_ok=True)

    def _watch(self, job: Job, process: subprocess.Popen[str]) -> Attempt:
        started = now()
        job["startedAt"] = started
        self._set(job, "RUNNING")
        context = contextvars.copy_context()
        reader = threading.Thread(target=context.run, args=(self._read, job, process), daemon=True)
        reader.start()
        if job["jobId"] in self._terminated or self._stopped:
            end(process.pid)
        timed_out = False
        try:
            code = process.wait((job.get("timeout") or {}).get("attemptDurationSeconds"))
        except subprocess.TimeoutExpired:
            timed_out = True
            end(process.pid)
            code = process.wait()
        _signal(process.pid, signal.SIGKILL)  # children that outlived the job
        reader.join(timeout=1)
        terminated = self._terminated.get(job["jobId"])
        status_reason = terminated or (TIMED_OUT if timed_out else EXITED)
        # A process ended by signal n has exit code 128 + n in a container.
        attempt = Attempt(code if code >= 0 else 128 - code, status_reason, final=timed_out or terminated is not None)
        attempt.started, attempt.stopped = started, now()
        container = {"exitCode": attempt.exit_code, "logStreamName": job["container"]["logStreamName"]}
        job["attempts"].append(
            {
                "container": container | {"networkInterfaces": []},
                "startedAt": started,
                "stoppedAt": attempt.stopped,
                "statusReason": status_reason,
            }
        )
        return attempt

    def _read(self, job: Job, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with suppress(ValueError, OSError), process.stdout:
            for line in process.stdout:
                self.log(job, [line.rstrip("\n")])

    def _finish(self, job: Job, attempt: Attempt) -> None:
        if attempt.exit_code is not None:
            job["container"]["exitCode"] = attempt.exit_code
        if attempt.reason:
            job["container"]["reason"] = attempt.reason
        job["statusReason"] = attempt.status_reason
        job["stoppedAt"] = attempt.stopped or now()
        self._set(job, "SUCCEEDED" if attempt.exit_code == 0 and not attempt.final else "FAILED")

    def _set(self, job: Job, status: str) -> None:
        job["status"] = status
        self.changed(job)


def end_left(state: Path) -> None:
    """Kill the jobs that a killed emulator left behind in its state directory."""
    records = state / f"{RECORDS}.ended"
    with suppress(FileNotFoundError):
        (state / RECORDS).rename(records)  # from now on, no job of that emulator begins
    for record in records.glob("*"):
        with suppress(ValueError, OSError):
            arguments = " ".join(json.loads(record.read_text())[1:])
            # The program's path may be shown resolved; its arguments are what they were.
            if process_of(int(record.name))[1].endswith(arguments):
                os.killpg(int(record.name), signal.SIGKILL)


def process_of(pid: int) -> tuple[str, str]:
    """Return a process's state letter and command line: a recorded pid may be another's by now, or nobody's."""
    if Path("/proc/self/stat").exists():  # small containers have no ps
        try:
            stat, line = Path(f"/proc/{pid}/stat").read_text(), Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return "", ""
        return stat.rpartition(")")[2].split()[0], line.replace(b"\0", b" ").decode(errors="replace").strip()
    command = ["ps", "-ww", "-o", "stat=,args=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found[:1], found.partition(" ")[2].strip()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end(group: int) -> None:
    """Ask a job's processes to end and, a little later, kill what is left; returns at once."""
    _signal(group, signal.SIGTERM)
    timer = threading.Timer(_GRACE_SECONDS, _signal, (group, signal.SIGKILL))
    timer.daemon = True
    timer.start()
