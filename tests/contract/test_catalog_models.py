"""What every catalog promises about versions, the champion and the monitor's findings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.ports import Catalog
from tests.support.records import AT, a_step, a_version, an_assessment


@pytest.fixture
def registry(catalog: Catalog) -> Catalog:
    """Return a catalog with versions 1 to 3 of the model ``fare``, none of which serves."""
    for version in (1, 2, 3):
        catalog.publish_version(a_version(version))
    return catalog


def promote(catalog: Catalog, version: int, expected: int | None, minute: int = 0, action: str = "promote") -> None:
    at = AT + timedelta(minutes=minute)
    catalog.promote("fare", version, expected, at=at, by=f"run-{version}", reason="better", action=action)


def test_versions_are_numbered_from_one_without_gaps_for_each_model(catalog: Catalog) -> None:
    assert [catalog.allocate_version("fare", f"run-{number}") for number in range(3)] == [1, 2, 3]
    assert catalog.allocate_version("tips", "run-0") == 1


def test_a_run_that_asks_again_is_given_the_same_number(catalog: Catalog) -> None:
    catalog.allocate_version("fare", "run-a")
    catalog.allocate_version("fare", "run-b")
    assert catalog.allocate_version("fare", "run-a") == 1
    assert catalog.allocate_version("fare", "run-c") == 3


def test_a_published_version_is_found_again(catalog: Catalog) -> None:
    catalog.publish_version(a_version(1))
    assert catalog.version("fare", 1) == a_version(1)
    assert catalog.models() == ["fare"]


def test_a_version_that_is_there_already_stays_as_it_is(catalog: Catalog) -> None:
    catalog.publish_version(a_version(1))
    catalog.publish_version(a_version(1, stage="refused", reason="too late"))
    assert catalog.version("fare", 1) == a_version(1)


def test_an_unknown_version_is_not_found(registry: Catalog) -> None:
    with pytest.raises(NotFoundError, match="version 4"):
        registry.version("fare", 4)
    with pytest.raises(NotFoundError, match="tips"):
        registry.version("tips", 1)


def test_versions_come_newest_first_by_number_and_not_by_text(catalog: Catalog) -> None:
    for version in (9, 10, 2, 100):
        catalog.publish_version(a_version(version))
    assert [version.version for version in catalog.versions("fare")] == [100, 10, 9, 2]
    assert catalog.versions("tips") == []


def test_models_come_by_name(catalog: Catalog) -> None:
    assert catalog.models() == []
    for model in ("tips", "fare"):
        catalog.publish_version(a_version(1, model=model))
    catalog.publish_version(a_version(2, model="fare"))
    assert catalog.models() == ["fare", "tips"]


def test_no_version_serves_until_one_is_promoted(registry: Catalog) -> None:
    assert registry.champion("fare") is None
    assert registry.audit("fare") == []


def test_the_first_promotion_points_at_the_version(registry: Catalog) -> None:
    promote(registry, 2, None)
    champion = registry.champion("fare")
    assert champion is not None
    assert (champion.version, champion.previous, champion.by, champion.promoted_at) == (2, None, "run-2", AT)
    assert (champion.manifest_key, champion.manifest_sha256) == ("models/fare/2/manifest.json", f"{2:064d}")
    assert [version.stage for version in registry.versions("fare")] == ["candidate", "champion", "candidate"]


def test_a_promotion_archives_the_old_champion(registry: Catalog) -> None:
    promote(registry, 1, None)
    promote(registry, 2, 1)
    champion = registry.champion("fare")
    assert champion is not None
    assert (champion.version, champion.previous) == (2, 1)
    assert [version.stage for version in registry.versions("fare")] == ["candidate", "champion", "archived"]
    assert "2" in registry.version("fare", 1).reason


def test_a_rollback_brings_the_archived_version_back(registry: Catalog) -> None:
    promote(registry, 1, None)
    promote(registry, 2, 1)
    promote(registry, 1, 2, action="rollback")
    champion = registry.champion("fare")
    assert champion is not None
    assert (champion.version, champion.previous) == (1, 2)
    assert [version.stage for version in registry.versions("fare")] == ["candidate", "archived", "champion"]
    assert registry.version("fare", 1).reason == ""


def test_the_audit_tells_every_movement_newest_first_even_within_one_moment(registry: Catalog) -> None:
    promote(registry, 1, None)
    promote(registry, 2, 1)
    promote(registry, 1, 2, action="rollback")
    promote(registry, 2, 1, minute=5)
    told = [(entry.action, entry.previous, entry.version) for entry in registry.audit("fare")]
    assert told == [("promote", 1, 2), ("rollback", 2, 1), ("promote", 1, 2), ("promote", None, 1)]
    assert registry.audit("fare")[0].at == AT + timedelta(minutes=5)
    assert registry.audit("fare")[0].reason == "better"


@pytest.mark.parametrize("expected", [None, 2, 3])
def test_a_promotion_from_a_champion_that_no_longer_serves_changes_nothing(
    registry: Catalog, expected: int | None
) -> None:
    promote(registry, 1, None)
    before = (registry.champion("fare"), registry.versions("fare"), registry.audit("fare"))
    with pytest.raises(ConflictError, match="served by version 1"):
        promote(registry, 2, expected)
    assert (registry.champion("fare"), registry.versions("fare"), registry.audit("fare")) == before


def test_a_promotion_that_expects_a_champion_fails_when_there_is_none(registry: Catalog) -> None:
    with pytest.raises(ConflictError):
        promote(registry, 2, 1)
    assert registry.champion("fare") is None


def test_promoting_what_serves_already_returns_the_pointer_and_writes_nothing(registry: Catalog) -> None:
    promote(registry, 1, None)
    before = registry.champion("fare")
    promote(registry, 1, None, minute=9)
    promote(registry, 1, 7, minute=9)
    assert registry.champion("fare") == before
    assert len(registry.audit("fare")) == 1


def test_an_unknown_version_cannot_be_promoted(registry: Catalog) -> None:
    with pytest.raises(NotFoundError, match="version 9"):
        promote(registry, 9, None)
    assert registry.champion("fare") is None


def test_assessments_come_newest_first_and_limited(catalog: Catalog) -> None:
    for minute in (1, 3, 2):
        catalog.record_assessment(an_assessment(at=AT + timedelta(minutes=minute), rows=minute))
    catalog.record_assessment(an_assessment(at=AT + timedelta(minutes=3), rows=3))
    assert [found.rows for found in catalog.assessments("fare")] == [3, 2, 1]
    assert [found.rows for found in catalog.assessments("fare", limit=2)] == [3, 2]
    assert catalog.assessments("tips") == []


def test_a_record_too_large_for_the_catalog_is_refused_in_words(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="keep data in an object"):
        catalog.record_step(a_step(output={"rows": ["x" * 1000] * 500}))
