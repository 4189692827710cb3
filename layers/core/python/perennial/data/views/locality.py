"""Whether a stored view can be computed for some entities at a time: read from its SQL, in doubt no."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from perennial.data.views.syntax import Tree, functions, parse, walk
from perennial.definitions import FeatureView

Columns = frozenset[str]
"""Names, in lower case, of the columns of a table that hold the entity unchanged."""


@dataclass(frozen=True)
class _Relation:
    """A table in a FROM."""

    own: bool
    """Whether its rows are made from the view's own dataset, of which only some entities' rows are there."""
    entity: Columns


@dataclass(frozen=True)
class _Scope:
    """The tables that a SELECT reads, by their alias."""

    relations: Mapping[str, _Relation]
    merged: Columns = frozenset()
    """Columns that a USING has made one of."""

    def is_entity(self, node: Tree, column: str) -> bool:
        """Tell whether an expression is an entity column and nothing else."""
        if node.get("class") != "COLUMN_REF":
            return False
        *qualifier, name = (part.lower() for part in node["column_names"])
        if name != column or len(qualifier) > 1:  # t.s.zone is a field of the struct s, whatever else is named s
            return False
        if qualifier:
            relation = self.relations.get(qualifier[0])
            return relation is not None and relation.own and name in relation.entity
        if name in self.merged:
            return True
        # Without a qualifier the engine takes the only table that has it; another table's column is not meant.
        return len(self.relations) == 1 and all(
            relation.own and name in relation.entity for relation in self.relations.values()
        )


class _NotLocalError(Exception):
    """A construct that may look at other entities' rows, or that is not understood."""


def is_entity_local(view: FeatureView) -> bool:
    """Tell whether each entity's rows of a stored view are made from the rows of that entity alone.

    It is so when every aggregate groups by the entity columns, every window partitions by them, tables made from the
    view's own dataset are joined on them, and they come out as they went in. Rows of other datasets and views are
    always there in full, so they may be used freely. What is not understood counts as not local.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``; its SQL is parsed, not run.

    Raises
    ------
    DefinitionError
        The SQL is not one SELECT that DuckDB can parse.
    """
    entity = frozenset(name.lower() for name in view.entity)
    tables = {view.dataset.lower(): _Relation(True, entity)}
    tables.update({name.lower(): _Relation(False, frozenset()) for name in view.reads})
    try:
        made = _query(parse(view.sql, f"features/{view.name}.sql"), tables, entity)
    except _NotLocalError:
        return False
    return made.own and made.entity == entity


def _query(node: Tree, tables: Mapping[str, _Relation], entity: Columns) -> _Relation:
    """Return what a SELECT makes of the tables that are known to it."""
    if node["type"] != "SELECT_NODE":
        raise _NotLocalError
    known = dict(tables)
    for cte in node["cte_map"]["map"]:
        if cte["value"]["aliases"]:
            raise _NotLocalError
        known[cte["key"].lower()] = _query(cte["value"]["query"]["node"], known, entity)
    scope = _source(node["from_table"], known, entity)
    own = any(relation.own for relation in scope.relations.values())
    _refuse_subqueries(node)
    made = _Relation(own, _passed(node, scope, entity) if own else frozenset())
    if own:
        _check_clauses(node, scope, made, entity)
    return made


def _source(source: Tree, tables: Mapping[str, _Relation], entity: Columns) -> _Scope:
    if source.get("sample") or source.get("column_name_alias"):
        raise _NotLocalError
    if source["type"] == "BASE_TABLE":
        name = source["table_name"].lower()
        if name not in tables or source["schema_name"] or source["catalog_name"]:  # main.rides is no WITH's rides
            raise _NotLocalError
        return _Scope({(source["alias"] or name).lower(): tables[name]})
    if source["type"] == "SUBQUERY":
        return _Scope({source["alias"].lower(): _query(source["subquery"]["node"], tables, entity)})
    if source["type"] == "JOIN":
        return _join(source, tables, entity)
    raise _NotLocalError


def _join(source: Tree, tables: Mapping[str, _Relation], entity: Columns) -> _Scope:
    left, right = (_source(source[side], tables, entity) for side in ("left", "right"))
    if set(left.relations) & set(right.relations) or source["ref_type"] not in ("REGULAR", "ASOF", "CROSS"):
        raise _NotLocalError
    beside = _nullable(right) if source["join_type"] == "LEFT" else right
    both = _Scope({**left.relations, **beside.relations}, left.merged | beside.merged)
    using = frozenset(name.lower() for name in source["using_columns"])
    owns = [any(relation.own for relation in side.relations.values()) for side in (left, right)]
    if source["join_type"] not in ("INNER", "LEFT"):
        raise _NotLocalError
    if owns[1] and not owns[0] and (source["join_type"] == "LEFT" or source["ref_type"] == "ASOF"):
        raise _NotLocalError  # a row that finds no partner among some entities may have one among the others
    if not all(owns):
        # The merged column is the left one's; with the dataset on the right they are equal.
        owner = left if owns[0] else right
        return _Scope(both.relations, both.merged | {name for name in using if _named(owner, name)})
    if using >= entity and all(_named(side, name) for side in (left, right) for name in entity):
        return _Scope(both.relations, both.merged | entity)
    equal = list(_equalities(source["condition"]))
    if using or not all(any(_equates(pair, left, right, name) for pair in equal) for name in entity):
        raise _NotLocalError
    return both


def _nullable(scope: _Scope) -> _Scope:
    """Return a scope whose columns may be null for any entity, as behind a LEFT join that finds no partner."""
    return _Scope({name: replace(each, entity=frozenset()) for name, each in scope.relations.items()})


def _named(scope: _Scope, name: str) -> bool:
    """Tell whether an unqualified name is the entity column of some table of a scope, or of none it could be else."""
    return name in scope.merged or any(
        relation.own and name in relation.entity for relation in scope.relations.values()
    )


def _equalities(condition: Tree | None) -> Iterator[tuple[Tree, Tree]]:
    if condition is None:
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _equalities(child)
    if condition["type"] == "COMPARE_EQUAL":
        yield condition["left"], condition["right"]


def _equates(pair: tuple[Tree, Tree], left: _Scope, right: _Scope, name: str) -> bool:
    one, other = pair
    if any(len(side.get("column_names", ())) < 2 for side in pair):
        return False
    return (left.is_entity(one, name) and right.is_entity(other, name)) or (
        left.is_entity(other, name) and right.is_entity(one, name)
    )


def _passed(node: Tree, scope: _Scope, entity: Columns) -> Columns:
    """Return the entity columns that a SELECT list hands on under their own names."""
    found: set[str] = set()
    others: set[str] = set()
    for expression in node["select_list"]:
        if expression["class"] == "STAR":
            plain = not any(
                expression.get(part)
                for part in ("exclude_list", "replace_list", "qualified_exclude_list", "rename_list", "expr")
            )
            of = expression.get("relation_name", "").lower()  # s.* are the fields of a struct, if s is no table
            if not plain or len(scope.relations) > 1 or (of and of not in scope.relations):
                raise _NotLocalError
            found |= {name for name in entity for relation in scope.relations.values() if name in relation.entity}
            continue
        if any(branch.get("class") == "STAR" for branch in walk(expression)):
            raise _NotLocalError  # COLUMNS(…) + 1 makes columns of the names that it is made of
        name = (expression["alias"] or (expression.get("column_names") or [""])[-1]).lower()
        (found if any(scope.is_entity(expression, column) and name == column for column in entity) else others).add(
            name
        )
    return frozenset(found - others)


def _check_clauses(node: Tree, scope: _Scope, made: _Relation, entity: Columns) -> None:
    """Refuse aggregates, windows and modifiers that go over several entities."""
    local = [not node.get("sample"), len(node["group_sets"]) <= 1, _groups(node, scope, made, entity)]
    clauses = [node["select_list"], node["where_clause"], node["having"], node["qualify"]]
    windows = [branch for branch in walk(clauses) if branch.get("class") == "WINDOW"]
    local += [_covers(window["partitions"], scope, entity) for window in windows]
    for modifier in node["modifiers"]:
        if modifier["type"] == "DISTINCT_MODIFIER":
            on = modifier["distinct_on_targets"]
            local.append(_covers(on, scope, entity) if on else made.entity == entity)
        else:
            local.append(modifier["type"] == "ORDER_MODIFIER")
    if not all(local):
        raise _NotLocalError


def _groups(node: Tree, scope: _Scope, made: _Relation, entity: Columns) -> bool:
    """Tell whether a SELECT goes row by row or groups by every entity column, by name or by number in its list."""
    if node["aggregate_handling"] == "FORCE_AGGREGATES":  # GROUP BY ALL: by what the SELECT hands on
        return made.entity == entity
    if not node["group_expressions"]:
        return not node["having"] and not _has_aggregate(node["select_list"])
    by = []
    for expression in node["group_expressions"]:
        number = expression.get("value", {}).get("value") if expression["class"] == "CONSTANT" else None
        by.append(node["select_list"][number - 1] if isinstance(number, int) else expression)
    return _covers(by, scope, entity)


def _covers(expressions: Collection[Tree], scope: _Scope, entity: Columns) -> bool:
    return all(any(scope.is_entity(expression, name) for expression in expressions) for name in entity)


def _has_aggregate(tree: object) -> bool:
    """Tell whether an expression aggregates outside of windows."""
    if isinstance(tree, list):
        return any(_has_aggregate(branch) for branch in tree)
    if not isinstance(tree, dict):
        return False
    if tree.get("class") == "WINDOW":
        return any(_has_aggregate(tree[part]) for part in ("children", "partitions", "orders"))
    if tree.get("function_name", "").lower() in functions().aggregates:
        return True
    return any(_has_aggregate(branch) for branch in tree.values())


def _refuse_subqueries(node: Tree) -> None:
    """Refuse queries within expressions, and functions that make rows."""
    for clause in ("select_list", "where_clause", "group_expressions", "having", "qualify", "modifiers"):
        for branch in walk(node[clause]):
            if branch.get("class") == "SUBQUERY" or branch.get("function_name", "").lower() in ("unnest", "unlist"):
                raise _NotLocalError
    for branch in walk(node["from_table"]):  # what a join is on; a query in FROM is no expression, and is looked into
        if branch.get("class") == "SUBQUERY":
            raise _NotLocalError
