"""The ``train`` machine, and what starts it by itself: new data, alarms and the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.approval import ApprovalGate, longest_wait
from infra.ask_again import EXECUTION_TRANSIENT, Refused
from infra.batch import Job
from infra.delivery import WORK, longest_delivery
from infra.machine import Failure, Foundation, Machine
from infra.search import Search
from infra.step import RUN_ID, SizedStep, Step, resilient
from infra.update import DATASET_UPDATED, EVENT_SOURCE
from perennial.definitions import Model
from perennial.errors import DefinitionError

PARALLEL_CANDIDATES = 8
_SUBMISSION = "$.submission"
"""Path of the id of a model that was trained elsewhere; empty if the run trains the candidates."""
_TRAINED_HERE = sfn.Condition.string_equals(_SUBMISSION, "")


class Train(Construct):
    """Admit → training set → search → candidates → evaluate → register → approval → deploy.

    Input: ``{model, trigger}``. With a ``submission`` in it, a model that was trained elsewhere stands in the
    candidates' place.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        deploy: Machine,
        asking: Machine,
        models: Sequence[Model],
        undelivered: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        self._deployment = on.deployment
        self._undelivered = undelivered
        self._delivery = longest_delivery(models)
        model = sfn.JsonPath.string_at("$.model")
        failure = Failure(self, "Failure", function=on.functions["fail"], kind="train", subject=model).chain
        request = {"run_id": RUN_ID, "model": model}

        asked = request | {"submission": sfn.JsonPath.string_at(_SUBMISSION)}

        def step(verb: str, **more: Any) -> sfn.Chain:
            return Step(self, verb, on=on.functions[verb], request=request | more, fail=failure).chain

        start_deploy = self._start_deploy(deploy)
        resilient(start_deploy, transient=EXECUTION_TRANSIENT, fail=failure)
        stays = sfn.Succeed(self, "champion stays")
        approval = ApprovalGate(self, "Approval", on=on, fail=failure, approved=start_deploy, refused=stays).chain
        passed = sfn.Choice(self, "passed").when(
            sfn.Condition.boolean_equals("$.register.output.passed", True), approval
        )
        passed.otherwise(stays)
        training_set = SizedStep(
            self,
            "training_set",
            function=on.functions["training_set"],
            job=on.batch["training_set"],
            size="$.admit.output.dataset_bytes",
            limit=on.stage.batch_bytes,
            request=request,
            fail=failure,
            table_name=None,
        )
        take = Step(self, "take_submission", on=on.batch["take_submission"], request=asked, fail=failure).chain
        candidates = sfn.Choice(self, "submitted").when(
            _TRAINED_HERE, self._candidates(on.batch["train"], request, failure)
        )
        judged = candidates.otherwise(take).afterwards().next(step("evaluate")).next(step("register")).next(passed)
        work = training_set.chain.next(Search(self, "Search", on=on, request=request, then=judged, fail=failure).chain)
        admitted = sfn.Choice(self, "admitted").when(
            sfn.Condition.boolean_equals("$.admit.output.admitted", True), work
        )
        admitted.otherwise(Refused(self, "Refused", asking=asking, fail=failure).chain)
        self.machine = Machine(
            self,
            "Train",
            stage=on.stage,
            deployment=on.deployment,
            name="train",
            start=self._told(
                step("admit", submission=asked["submission"], trigger=sfn.JsonPath.object_at("$.trigger")).next(
                    admitted
                )
            ),
            # A run holds its model's claim for six hours at most; it gives it back before it waits for a person, and
            # before its version stands beside the champion.
            timeout=Duration.hours(6).plus(longest_wait(models)).plus(self._delivery),
            key=on.storage.key,
        )

    def _told(self, admit: sfn.Chain) -> sfn.Choice:
        """Lead to ``admit`` with the path of a submission there: what starts by itself brings none."""
        none = sfn.Pass(self, "no submission", result=sfn.Result.from_string(""), result_path=_SUBMISSION)
        given = sfn.Choice(self, "submission given").when(sfn.Condition.is_present(_SUBMISSION), admit)
        return given.otherwise(none.next(admit))

    def start_by_itself(self, model: Model, alarms: Sequence[cloudwatch.Alarm]) -> None:
        """Let new data, alarms and the model's schedule start runs; ``admit`` decides about each.

        Parameters
        ----------
        model : Model
            What is trained.
        alarms : sequence of Alarm
            Those that ask for a training run; there may be none.
        """
        self._on_data(model)
        if alarms:
            self._on_alarm(model, alarms)
        if model.retrain.schedule is not None:
            self._on_schedule(model)

    def _candidates(self, job: Job, request: Mapping[str, Any], failure: sfn.Chain) -> sfn.Map:
        candidates = sfn.Map(
            self,
            "candidates",
            items_path="$.admit.output.candidates",
            item_selector={**request, "candidate": sfn.JsonPath.string_at("$$.Map.Item.Value")},
            max_concurrency=PARALLEL_CANDIDATES,
            result_path=sfn.JsonPath.DISCARD,
        )
        # Inside the map an error only ends it; the map's own catch records it, once.
        ended = sfn.Fail(
            self,
            "candidate failed",
            error_path=sfn.JsonPath.string_at("$.failure.Error"),
            cause_path=sfn.JsonPath.string_at("$.failure.Cause"),
        )
        candidates.item_processor(Step(self, "train", on=job, fail=ended).chain)
        candidates.add_catch(failure, errors=["States.ALL"], result_path="$.failure")
        return candidates

    def _start_deploy(self, deploy: Machine) -> tasks.StepFunctionsStartExecution:
        reason = sfn.JsonPath.format("version {} passed the gate", sfn.JsonPath.string_at("$.register.output.version"))
        return tasks.StepFunctionsStartExecution(
            self,
            "deploy",
            state_machine=deploy.machine,
            integration_pattern=sfn.IntegrationPattern.RUN_JOB,
            input=sfn.TaskInput.from_object(
                {
                    "model": sfn.JsonPath.string_at("$.model"),
                    "version": sfn.JsonPath.number_at("$.register.output.version"),
                    "trigger": {"kind": "run", "source": RUN_ID, "reason": reason},
                }
            ),
            result_path=sfn.JsonPath.DISCARD,
            task_timeout=sfn.Timeout.duration(WORK.plus(Duration.minutes(10)).plus(self._delivery)),
        )

    def _on_data(self, model: Model) -> None:
        news = {name: events.EventField.from_path(f"$.detail.{name}") for name in ("source", "reason")}
        self._rule(
            f"{model.name} data",
            description=f"New rows of {model.dataset} may train {model.name}",
            pattern=events.EventPattern(
                source=[EVENT_SOURCE],
                detail_type=[DATASET_UPDATED],
                detail={"dataset": [model.dataset], "deployment": [self._deployment]},
            ),
            model=model,
            trigger={"kind": "data", **news},
        )

    def _on_alarm(self, model: Model, alarms: Sequence[cloudwatch.Alarm]) -> None:
        self._rule(
            f"{model.name} alarm",
            description=f"An alarm of {model.name} may train it",
            pattern=events.EventPattern(
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                resources=[alarm.alarm_arn for alarm in alarms],
                detail={"state": {"value": ["ALARM"]}},
            ),
            model=model,
            trigger={
                "kind": "alarm",
                "source": events.EventField.from_path("$.detail.alarmName"),
                "reason": events.EventField.from_path("$.detail.state.reason"),
            },
        )

    def _rule(
        self, id: str, *, description: str, pattern: events.EventPattern, model: Model, trigger: Mapping[str, str]
    ) -> None:
        start = events.RuleTargetInput.from_object({"model": model.name, "trigger": trigger})
        target = targets.SfnStateMachine(self.machine.machine, input=start, dead_letter_queue=self._undelivered)
        events.Rule(self, id, description=description, event_pattern=pattern, targets=[target])

    def _on_schedule(self, model: Model) -> None:
        every = model.retrain.schedule
        assert every is not None
        if every.total_seconds() < 60:
            raise DefinitionError(
                f"models/{model.name}.toml: retrain.schedule: the clock starts a run once a minute at most, "
                f"not every {every.total_seconds():.0f} seconds"
            )
        trigger = {"kind": "schedule", "source": "schedule", "reason": f"every {every}"}
        scheduler.Schedule(
            self,
            f"{model.name} schedule",
            description=f"The clock may train {model.name}",
            schedule=scheduler.ScheduleExpression.rate(Duration.minutes(int(every.total_seconds() // 60))),
            target=scheduler_targets.StepFunctionsStartExecution(
                self.machine.machine,
                input=scheduler.ScheduleTargetInput.from_object({"model": model.name, "trigger": trigger}),
                dead_letter_queue=self._undelivered,
            ),
        )
