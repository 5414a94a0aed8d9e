"""The documents are what the types make, and schemas and types refuse the same payloads."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from controller.service.contract_files import documents
from controller.service.core.commands import Strict
from controller.service.core.contract import asyncapi, schema_of, types

DOCS = Path(__file__).parents[3] / "docs"
TYPES = dict(types())


def test_the_documents_are_up_to_date() -> None:
    stale = [path.name for path, text in documents(DOCS).items() if path.read_text() != text]
    assert stale == [], "python -m controller.service.contract_files docs"


def test_every_reference_of_the_description_leads_somewhere() -> None:
    text = json.dumps(asyncapi())
    whole = asyncapi()
    for part in text.split('"$ref": "')[1:]:
        reference = part.split('"')[0]
        if reference.startswith("#/"):
            at: Any = whole
            for step in reference[2:].split("/"):
                at = at[step]
        else:
            assert (DOCS / reference).is_file(), reference


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        own = [schema] if "properties" in schema else []
        # The forms of a reply only narrow fields that the object itself names.
        parts = [value for key, value in schema.items() if key != "oneOf"]
        return own + [found for value in parts for found in objects(value)]
    if isinstance(schema, list):
        return [found for value in schema for found in objects(value)]
    return []


@pytest.mark.parametrize("stem", TYPES)
def test_no_object_takes_more_than_it_names(stem: str) -> None:
    schema = schema_of(TYPES[stem])
    assert all(found["additionalProperties"] is False for found in objects(schema))


def sample(schema: dict[str, Any], whole: dict[str, Any]) -> Any:
    """A value that a schema allows, made from the schema alone."""
    if "$ref" in schema:
        return sample(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], whole)
    kind = schema.get("type")
    if kind == "object":
        # Where an object has several forms, the one that is done says the most.
        forms = [one["properties"] for one in schema.get("oneOf", [])]
        parts = schema.get("properties", {})
        wanted = parts.get("result", {}).get("const", "done")
        form: dict[str, Any] = next((one for one in forms if one["result"]["const"] == wanted), {})
        return {name: _formed(form.get(name, {}), part, whole) for name, part in parts.items()}
    if kind == "array":
        return [sample(schema["items"], whole)]
    if kind == "string":
        return _text(schema)
    plain = {
        "integer": max(1, int(schema.get("minimum", 1))),
        "number": max(1.0, float(schema.get("minimum", 1.0))),
        "boolean": True,
        "null": None,
    }
    return plain.get(str(kind), "anything")


def _formed(form: dict[str, Any], part: dict[str, Any], whole: dict[str, Any]) -> Any:
    if form.get("type") == "null":
        return None
    return form["const"] if "const" in form else sample(part, whole)


def _text(schema: dict[str, Any]) -> str:
    known = {
        "^[A-Za-z0-9_-]{8,64}$": "abcdefgh", "^[a-z0-9_-]{1,32}$": "emil",
        "^[A-Za-z0-9+/]{86}==$": "A" * 86 + "==", "^[a-z_]{1,40}$": "self_test",
        "^[0-9a-f]{16}$": "0" * 16, "^[0-9a-f]{64}$": "0" * 64, "^[a-z_]{1,60}$": "self_test",
        "^test-[0-9]{1,9}$": "test-1",
        "^[a-z]{1,16}\\.(jsonl\\.gz|zip)$": "events.jsonl.gz",
    }  # fmt: skip
    return known.get(schema.get("pattern", ""), "text")


def spoiled(good: dict[str, Any], required: list[str]) -> list[tuple[str, Any]]:
    """At least three payloads with exactly one thing wrong."""
    found: list[tuple[str, Any]] = [("more", {**good, "more_than_named": 1}), ("list", [good]),
                                    ("text", json.dumps(good))]  # fmt: skip
    for name in good:
        if name in required:
            missing = copy.deepcopy(good)
            del missing[name]
            found.append((f"without {name}", missing))
        found.append((f"{name} of another type", {**good, name: {"no": ["such", "type"]}}))
    return found


def fits(kind: type[Strict], value: Any) -> bool:
    try:
        kind.model_validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("stem", TYPES)
def test_schema_and_type_take_the_good_and_refuse_the_spoiled(stem: str) -> None:
    schema, kind = schema_of(TYPES[stem]), TYPES[stem]
    judge = jsonschema.Draft202012Validator(schema)
    good = sample(schema, schema)
    assert judge.is_valid(good), list(judge.iter_errors(good))
    assert fits(kind, good)
    bad = spoiled(good, schema.get("required", []))
    assert len(bad) >= 3
    for what, payload in bad:
        assert (judge.is_valid(payload), fits(kind, payload)) == (False, False), what


def holes(schema: Any, path: str = "") -> list[str]:
    """Places of a schema that take anything."""
    if isinstance(schema, list):
        return [hole for n, one in enumerate(schema) for hole in holes(one, f"{path}/{n}")]
    if not isinstance(schema, dict):
        return []
    found = []
    for name, part in schema.get("properties", {}).items():
        said = {"type", "enum", "const", "anyOf", "$ref"} & set(part) if part else set()
        if not said or (part.get("type") == "object" and not objects(part)):
            found += [f"{path}/{name}"]
    return found + [hole for key, one in schema.items() for hole in holes(one, f"{path}/{key}")]


@pytest.mark.parametrize("stem", TYPES)
def test_no_field_is_open(stem: str) -> None:
    allowed = {"refused"}  # counts by reason: its names are an enumeration of their own
    found = [one for one in holes(schema_of(TYPES[stem])) if one.rpartition("/")[2] not in allowed]
    assert not [one for one in found if "oneOf" not in one]


def deeper(good: Any) -> list[Any]:
    """Copies with one field too many in one of the inner objects."""
    found: list[Any] = []
    if isinstance(good, dict):
        for key, value in good.items():
            inner = [{**value, "more_than_named": 1}] if isinstance(value, dict) else []
            found += [{**good, key: one} for one in inner + deeper(value)]
    elif isinstance(good, list) and good:
        inner = [{**good[0], "more_than_named": 1}] if isinstance(good[0], dict) else []
        found += [[one] for one in inner + deeper(good[0])]
    return found


@pytest.mark.parametrize("stem", TYPES)
def test_no_inner_object_takes_more_than_it_names(stem: str) -> None:
    schema, kind = schema_of(TYPES[stem]), TYPES[stem]
    judge = jsonschema.Draft202012Validator(schema)
    for payload in deeper(sample(schema, schema)):
        assert (judge.is_valid(payload), fits(kind, payload)) == (False, False), payload
