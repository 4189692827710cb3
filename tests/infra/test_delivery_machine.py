"""The machine by which a version comes to serve."""

from __future__ import annotations

from pathlib import Path

from tests.infra.synthesised import Synthesise, Synthesised

WAY = """
[delivery]
shadow = "1 day"
canary = [0.1, 0.5]
bake = "2 days"
on_too_little = "rollback"
"""


def test_a_version_is_tried_then_looked_at_until_it_serves_or_does_not(stack: Synthesised) -> None:
    machine = stack.machines()["deploy"]
    states = machine["States"]
    assert (machine["StartAt"], states["smoke"]["Next"], states["advance"]["Next"]) == ("smoke", "advance", "next")
    wait, promote = states["next"]["Choices"]
    assert (wait["StringEquals"], wait["Next"]) == ("wait", "bake")
    assert (promote["StringEquals"], promote["Next"]) == ("promote", "promote")
    assert wait["Variable"] == promote["Variable"] == "$.advance.output.next"
    assert states[states["next"]["Default"]]["Type"] == "Succeed", "a version that is taken back is no failure"
    assert states["bake"] == {"Type": "Wait", "SecondsPath": "$.advance.output.seconds", "Next": "advance"}


def test_a_version_is_looked_at_once_a_minute_at_most_and_locally_more_often(
    dev: Synthesised, local: Synthesised
) -> None:
    pauses = [of.machines()["deploy"]["States"]["advance"]["Parameters"]["Payload"]["look_seconds"]
              for of in (dev, local)]  # fmt: skip
    assert pauses == [60, 1]


def test_the_machines_outlast_the_longest_way_of_a_version(synthesise: Synthesise, definitions_folder: Path) -> None:
    model = definitions_folder / "models" / "house_price.toml"
    model.write_text(model.read_text() + WAY)
    machines = synthesise(stage="dev", definitions=str(definitions_folder), name="delivery").machines()
    five_days = 5 * 86400
    assert machines["deploy"]["TimeoutSeconds"] == 30 * 60 + five_days
    assert machines["train"]["States"]["deploy"]["TimeoutSeconds"] > machines["deploy"]["TimeoutSeconds"]
    assert machines["train"]["TimeoutSeconds"] == 6 * 3600 + five_days
