"""The steps of a deployment: ``smoke`` tries a version, ``promote`` lets it serve."""

from __future__ import annotations

import pytest

from perennial import keys
from perennial.definitions.files import Definitions
from perennial.errors import ConflictError, DataError, DefinitionError, NotFoundError
from perennial.fakes import fake_ports
from perennial.manifest import RequestView
from perennial.ports import Ports
from perennial.records import Decision, Trigger
from perennial.steps import promote, smoke
from tests.support.artifacts import FEATURES, MODEL, a_manifest, linear_graph, register
from tests.support.interruptions import each_death
from tests.support.records import a_version, an_approval

BY_TRAINING = Trigger(kind="run", source="train-1", reason="version 1 passed the gate")
BY_PERSON = Trigger(kind="person", source="arn:aws:iam::000000000000:user/ada", reason="prices are back")


def try_it(ports: Ports, run_id: str = "deploy-1", version: int = 1, trigger: Trigger = BY_TRAINING) -> smoke.Trial:
    return smoke.run(smoke.Request(run_id=run_id, model=MODEL, version=version, trigger=trigger), ports)


def let_it_serve(ports: Ports, run_id: str = "deploy-1", version: int = 1) -> promote.Promotion:
    return promote.run(promote.Request(run_id=run_id, model=MODEL, version=version), ports)


def deploy(ports: Ports, run_id: str, version: int, trigger: Trigger = BY_TRAINING) -> promote.Promotion:
    try_it(ports, run_id, version, trigger)
    return let_it_serve(ports, run_id, version)


def register_second(ports: Ports, **changes: object) -> None:
    graph = linear_graph(bias=5.0)
    register(ports, a_manifest(graph, version=2), graph, champion=False, **changes)


def test_a_sound_version_passes_and_its_run_is_recorded(ports: Ports) -> None:
    register(ports, champion=False)
    trial = try_it(ports)
    assert (trial.version, trial.rows) == (1, len(smoke.LEVELS))
    run, step = ports.catalog.run("deploy-1"), ports.catalog.step("deploy-1", "smoke")
    assert (run.kind, run.subject, run.status, run.trigger) == ("deploy", MODEL, "running", BY_TRAINING)
    assert (step.status, step.output) == ("succeeded", trial.model_dump())


def test_a_version_whose_file_was_changed_fails_and_the_step_says_why(ports: Ports) -> None:
    register(ports, champion=False)
    ports.artifacts.put(keys.artifact(MODEL, 1, "model.onnx"), linear_graph(bias=4.0))
    with pytest.raises(DataError):
        try_it(ports)
    step = ports.catalog.step("deploy-1", "smoke")
    assert step.status == "failed"
    assert "was changed after it was registered" in (step.error or "")


@pytest.mark.parametrize(
    ("bias", "sentence"),
    [
        (1e6, "far outside 0 to 400"),
        (-1e6, "far outside 0 to 400"),
        (float("nan"), "predicts nan"),
        (float("inf"), "predicts inf"),
    ],
)
def test_a_version_whose_predictions_are_absurd_fails(ports: Ports, bias: float, sentence: str) -> None:
    graph = linear_graph(bias=bias)
    register(ports, a_manifest(graph), graph, champion=False)
    with pytest.raises(DataError, match=sentence):
        try_it(ports)


def test_a_version_whose_request_view_does_not_run_fails(ports: Ports) -> None:
    view = RequestView(
        name="trip_context",
        table="taxi_trips",
        sql="SELECT no_such_function(trip_distance) AS distance, 1 AS hour, 1 AS passengers FROM taxi_trips",
        columns=tuple(name.partition("__")[2] for name in FEATURES[:3]),
    )
    register(ports, a_manifest(request=view), champion=False)
    with pytest.raises(DefinitionError, match="no_such_function"):
        try_it(ports)


def test_a_version_that_is_not_registered_is_not_found(ports: Ports) -> None:
    with pytest.raises(NotFoundError):
        try_it(ports, version=7)


def test_promoting_moves_the_pointer_and_closes_the_run(ports: Ports) -> None:
    register(ports, champion=False)
    register_second(ports)
    assert deploy(ports, "deploy-1", 1).previous is None
    assert deploy(ports, "deploy-2", 2).model_dump() == {"model": MODEL, "version": 2, "previous": 1, "serves": True}
    champion, run = ports.catalog.champion(MODEL), ports.catalog.run("deploy-2")
    assert champion is not None
    assert (champion.version, champion.by) == (2, "deploy-2")
    assert (run.status, run.outputs["version"], run.outputs["previous"]) == ("succeeded", 2, 1)
    assert ports.catalog.audit(MODEL)[0].reason == BY_TRAINING.reason


def test_promoting_again_changes_nothing(ports: Ports) -> None:
    register(ports, champion=False)
    first = deploy(ports, "deploy-1", 1)
    audit = ports.catalog.audit(MODEL)
    assert let_it_serve(ports) == first
    assert ports.catalog.audit(MODEL) == audit


def test_a_try_that_was_killed_behind_its_promotion_does_not_undo_a_later_rollback(ports: Ports) -> None:
    register(ports, champion=False)
    register_second(ports)
    deploy(ports, "deploy-1", 1)
    try_it(ports, "deploy-2", 2)
    ports.catalog.promote(MODEL, 2, 1, at=ports.clock.now(), by="deploy-2", reason="")  # and there it was killed
    ports.catalog.promote(MODEL, 1, 2, at=ports.clock.now(), by="ada", reason="it is wrong", action="rollback")
    audit = ports.catalog.audit(MODEL)
    assert let_it_serve(ports, "deploy-2", 2).model_dump() == {
        "model": MODEL,
        "version": 2,
        "previous": 1,
        "serves": True,
    }
    assert ports.catalog.audit(MODEL) == audit
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    assert champion.version == 1
    assert ports.catalog.run("deploy-2").status == "succeeded"


def test_killed_at_any_call_and_run_again_it_moves_the_pointer_once(definitions: Definitions) -> None:
    def prepare() -> Ports:
        ports = fake_ports(definitions)
        register(ports, champion=False)
        register_second(ports)
        deploy(ports, "deploy-1", 1)
        try_it(ports, "deploy-2", 2)
        return ports

    clean = prepare()
    expected = let_it_serve(clean, "deploy-2", 2)
    deaths = list(each_death(lambda ports: let_it_serve(ports, "deploy-2", 2), prepare))
    assert len(deaths) >= 4
    for ports, where in deaths:
        assert let_it_serve(ports, "deploy-2", 2) == expected, where
        assert ports.catalog.audit(MODEL) == clean.catalog.audit(MODEL)
        assert ports.catalog.champion(MODEL) == clean.catalog.champion(MODEL)
        assert ports.catalog.run("deploy-2") == clean.catalog.run("deploy-2")


def test_a_slow_deployment_does_not_replace_a_newer_version(ports: Ports) -> None:
    register(ports, champion=False)
    register_second(ports)
    try_it(ports, "deploy-1", 1)
    deploy(ports, "deploy-2", 2)
    with pytest.raises(ConflictError, match="version 2 of taxi_fare serves by now, which is newer than version 1"):
        let_it_serve(ports, "deploy-1", 1)
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    assert champion.version == 2


def test_a_version_that_served_before_is_rolled_back_to_by_whoever_asked(ports: Ports) -> None:
    register(ports, champion=False)
    register_second(ports)
    deploy(ports, "deploy-1", 1)
    deploy(ports, "deploy-2", 2)
    deploy(ports, "deploy-3", 1, BY_PERSON)
    entry = ports.catalog.audit(MODEL)[0]
    assert (entry.action, entry.version, entry.previous, entry.by) == ("rollback", 1, 2, BY_PERSON.source)


def refused_by_the_gate(ports: Ports) -> None:
    verdict = a_version().verdict.model_copy(update={"passed": False})
    register(ports, champion=False, stage="refused", reason="mae 4.1 is above 3", verdict=verdict)


def test_what_the_gate_refused_only_a_person_promotes_who_says_so(ports: Ports) -> None:
    refused_by_the_gate(ports)
    for trigger in (BY_TRAINING, BY_PERSON, BY_TRAINING.model_copy(update={"override_gate": True})):
        with pytest.raises(ConflictError, match=r"refused by the gate \(mae 4\.1 is above 3\).*--override-gate"):
            deploy(ports, f"deploy-{trigger.kind}-{trigger.override_gate}", 1, trigger)
    assert ports.catalog.champion(MODEL) is None
    assert deploy(ports, "deploy-2", 1, BY_PERSON.model_copy(update={"override_gate": True})).version == 1


ANYHOW = BY_PERSON.model_copy(update={"override_gate": True})


def test_what_was_not_evaluated_is_promoted_by_nobody(ports: Ports) -> None:
    register(ports, champion=False, verdict=a_version().verdict.model_copy(update={"ratings": ()}))
    for trigger in (BY_TRAINING, ANYHOW):
        with pytest.raises(ConflictError, match="version 1 of taxi_fare was not evaluated"):
            deploy(ports, f"deploy-{trigger.kind}", 1, trigger)
    assert ports.catalog.champion(MODEL) is None


def test_what_waits_for_approval_is_promoted_by_nobody_until_somebody_approves(ports: Ports) -> None:
    register(ports, champion=False)
    ports.catalog.request_approval(an_approval(1, MODEL), "secret")
    for trigger in (BY_TRAINING, ANYHOW):
        with pytest.raises(ConflictError, match="version 1 of taxi_fare waits for approval"):
            deploy(ports, f"deploy-{trigger.kind}", 1, trigger)
    ports.catalog.decide(MODEL, 1, "approved", ports.clock.now(), "ada", "")
    assert deploy(ports, "deploy-3", 1).version == 1


@pytest.mark.parametrize("decision", ["rejected", "expired"])
def test_what_was_rejected_is_promoted_by_nobody(ports: Ports, decision: Decision) -> None:
    register(ports, champion=False)
    ports.catalog.request_approval(an_approval(1, MODEL), "secret")
    ports.catalog.decide(MODEL, 1, decision, ports.clock.now(), "ada", "too dear")
    for trigger in (BY_TRAINING, ANYHOW):
        with pytest.raises(ConflictError, match=r"version 1 of taxi_fare was refused \(.*too dear\), which stands"):
            deploy(ports, f"deploy-{trigger.kind}", 1, trigger)


@pytest.mark.parametrize("file", ["manifest.json", "model.onnx"])
@pytest.mark.parametrize("change", ["other bytes", "missing"])
def test_what_is_not_intact_is_promoted_by_nobody(ports: Ports, file: str, change: str) -> None:
    register(ports, champion=False)
    try_it(ports, "deploy-1", 1, ANYHOW)
    key = keys.artifact(MODEL, 1, file)
    if change == "missing":
        ports.artifacts.delete(key)
    else:
        ports.artifacts.put(key, ports.artifacts.get(key) + b" ")
    with pytest.raises(DataError, match=f"version 1 of taxi_fare is not intact: .*{file}"):
        let_it_serve(ports)
    assert ports.catalog.champion(MODEL) is None


def test_labels_of_people_are_no_movements_of_a_run(ports: Ports) -> None:
    register(ports, champion=False)
    try_it(ports, "deploy-1", 1, BY_PERSON)
    ports.catalog.tag(MODEL, 1, {"owner": "ada"}, ports.clock.now(), BY_PERSON.source)
    assert let_it_serve(ports).previous is None
    champion = ports.catalog.champion(MODEL)
    assert champion is not None
    assert champion.version == 1
