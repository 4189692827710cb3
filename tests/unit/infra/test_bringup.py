"""What is told of definitions before they are deployed."""

from __future__ import annotations

from pathlib import Path

from infra.bringup import read_definitions, request_views_served

ROOT = Path(__file__).parents[3]


def test_the_shipped_request_view_is_compiled() -> None:
    assert request_views_served(read_definitions(ROOT / "layers/definitions")) == {"trip_context": "compiled"}


def test_a_view_that_is_left_to_the_engine_says_why(tmp_path: Path) -> None:
    for file in (ROOT / "docs/examples/flats").rglob("*.*"):
        if file.suffix in (".toml", ".sql"):
            copy = tmp_path / file.relative_to(ROOT / "docs/examples/flats")
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(file.read_text().replace("area / rooms AS", "gamma(area / rooms) AS"))
    served = request_views_served(read_definitions(tmp_path))
    assert served == {"flat": "served by DuckDB; not compiled: the function gamma"}
