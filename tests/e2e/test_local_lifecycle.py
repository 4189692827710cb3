"""A local cloud starts, ends and cleans up after itself, also when it was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.local import docker
from infra.local.cloud import _MARK, CloudError, Endpoint, LocalCloud
from tests.e2e.executions import wait_for

pytestmark = pytest.mark.e2e

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/test:1"


def processes(state: Path) -> list[str]:
    """Return the command lines that name a state directory."""
    if Path("/proc/self/cmdline").exists():
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    else:
        lines = subprocess.run(["ps", "-ww", "-Ao", "args"], capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
    return [line for line in lines if str(state) in line]


@contextmanager
def another_program(port: int) -> Iterator[None]:
    """Serve something else on a port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def leave_job_running(cloud: Endpoint, folder: Path) -> None:
    """Start a job of a minute whose command line names the folder."""
    (folder / "context").mkdir()
    (folder / "context" / "Dockerfile").write_text("FROM x\n")
    docker.main(["--store", str(cloud.state / "images"), "build", "--tag", IMAGE, str(folder / "context")])
    batch = cloud.client("batch")
    batch.create_job_queue(jobQueueName="jobs", priority=1, computeEnvironmentOrder=[])
    properties = {"image": IMAGE, "command": ["/bin/sh", "-c", f"sleep 60; echo {folder}"]}
    batch.register_job_definition(jobDefinitionName="j", type="container", containerProperties=properties)
    batch.submit_job(jobName="j", jobQueue="jobs", jobDefinition="j")
    wait_for(lambda: [line for line in processes(folder) if "sleep 60" in line] or None)


def test_two_clouds_run_side_by_side_and_one_ends_with_its_jobs_and_files(cloud: Endpoint, tmp_path: Path) -> None:
    other = LocalCloud(tmp_path / "state")
    try:
        endpoint = other.start()
        assert other.start() == endpoint  # it runs already
        assert endpoint.url != cloud.url
        endpoint.client("s3").create_bucket(Bucket="mine")
        assert "mine" not in [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
        leave_job_running(endpoint, tmp_path)
    finally:
        assert other.stop()
    assert not other.stop()
    assert other.status() is None
    assert [path.name for path in tmp_path.iterdir()] == ["context"]
    assert processes(tmp_path) == []
    assert cloud.answers()


def test_a_killed_cloud_is_noticed_and_replaced_with_all_that_it_left(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "state")
    try:
        old = cloud.start()
        leave_job_running(old, tmp_path)
        os.killpg(old.pid, signal.SIGKILL)
        wait_for(lambda: None if old.answers() else True)
        # Its port may by now be another program's, which answers anything.
        with another_program(int(old.url.rsplit(":", 1)[1])):
            assert cloud.status() is None
            new = cloud.start()
        assert new.url != old.url
        assert new.answers()
    finally:
        cloud.stop()
    assert processes(tmp_path) == []


STARTS = """
import sys, time
from pathlib import Path
from infra.local.cloud import LocalCloud
LocalCloud(Path(sys.argv[1]), ends_with_caller=True).start()
print("started", flush=True)
time.sleep(60)
"""


def test_a_cloud_for_one_program_ends_with_it_though_it_was_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    program = subprocess.Popen([sys.executable, "-c", STARTS, str(state)], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    with program.stdout:
        assert program.stdout.readline() == "started\n"
    assert LocalCloud(state).status() is not None
    program.kill()
    program.wait()
    wait_for(lambda: None if processes(state) or state.exists() else True)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CloudError, match="holds other files"):
        LocalCloud(tmp_path).start()
    assert (tmp_path / "thesis.tex").exists()


def test_what_a_job_writes_while_it_is_killed_is_removed_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, remove = tmp_path / "state", shutil.rmtree
    state.mkdir()
    (state / ".gitignore").write_text(_MARK)

    def remove_under_a_writer(path: Path, **options: bool) -> None:
        monkeypatch.undo()
        remove(path, **options)
        (path / "tmp").mkdir(parents=True)

    monkeypatch.setattr(shutil, "rmtree", remove_under_a_writer)
    LocalCloud(state).stop()
    assert list(tmp_path.iterdir()) == []


def test_a_cloud_that_does_not_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "hypercorn.py").write_text("raise ImportError('the server is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(CloudError, match="the server is missing"):
        LocalCloud(tmp_path / "state").start()
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]
    assert processes(tmp_path) == []
