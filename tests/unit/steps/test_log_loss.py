"""What was lost of the log lately, told from what came."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perennial.ports import Ports
from perennial.records import Champion
from perennial.serving.ids import make_request_id
from perennial.steps import log_predictions
from perennial.steps.log_loss import lost_lately
from perennial.steps.log_window import LogReader
from tests.support.artifacts import MODEL, a_manifest, register
from tests.support.prediction_logs import a_request, lines_of
from tests.support.records import AT

HOUR = timedelta(hours=1)


def lines(version: int = 1) -> list[str]:
    """Return what a process, which began at ``AT``, prints in an hour: a line a minute."""
    moments = [AT + timedelta(minutes=minute) for minute in range(60)]
    made = [a_request(version=version, request_id=make_request_id(at, bytes(10)), at=at) for at in moments]
    return lines_of(made, make_request_id(AT, bytes([version] * 10)))


def champion(ports: Ports) -> Champion:
    found = ports.catalog.champion(MODEL)
    assert found is not None
    return found


def lost(ports: Ports, delivered: list[str], later: timedelta = HOUR) -> int:
    log_predictions.run(log_predictions.Request(lines=delivered), ports)
    return lost_lately(LogReader(ports.artifacts), champion(ports), AT + later)


@pytest.fixture(autouse=True)
def _registered(ports: Ports) -> None:
    register(ports)


def test_of_a_log_that_is_complete_nothing_is_lost(ports: Ports) -> None:
    assert lost(ports, lines()) == 0
    assert lost_lately(LogReader(ports.artifacts), champion(ports), AT + 30 * HOUR) == 0


def test_lines_that_did_not_come_are_lost_after_a_while(ports: Ports) -> None:
    some = [line for minute, line in enumerate(lines()) if minute not in (0, 7, 8)]
    assert lost(ports, some) == 3
    assert lost_lately(LogReader(ports.artifacts), champion(ports), AT + timedelta(minutes=22)) == 1


def test_lines_that_come_late_are_not_lost_any_more(ports: Ports) -> None:
    assert lost(ports, lines()[:10] + lines()[20:]) == 10
    assert lost(ports, lines()[10:20]) == 0


def test_the_version_that_served_before_is_looked_at_too(ports: Ports) -> None:
    register(ports, a_manifest(version=2))
    assert lost(ports, [*lines(1)[3:], *lines(2)]) == 3


def test_what_could_not_be_written_is_lost(ports: Ports) -> None:
    last = len(lines()) - 20
    told = [*lines()[:last], lines()[last].replace('"unwritten":0', '"unwritten":4')]
    assert lost(ports, told) == 4
