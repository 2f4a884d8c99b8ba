"""Answers as JSON: marshmallow's schemas say what they contain, and msgspec writes them.

A schema is the contract, also of OpenAPI. Dumping an answer with it would take longer than
computing it, because marshmallow looks at each number by itself. So a schema is compiled once: all
members of an object are read together, and only those whose types JSON doesn't have are converted.
`tests/api/test_encoding.py` compares both for every route.

An answer with buckets is a table too, for a client that accepts Arrow or Parquet
(`bucket_tables.py`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import chain
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, TypeVar

import flask_smorest
import msgspec
from flask import Response
from flask_smorest.utils import resolve_schema_instance, unpack_tuple_response
from marshmallow import Schema, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP
from marshmallow.utils import get_value

from app.api.http.columns import ARROW, PARQUET
from app.api.http.tables import accepted, bucket_tables_module

JSON = "application/json"
TABLES = (ARROW, PARQUET)
View = TypeVar("View", bound=Callable[..., Any])
Convert = Callable[[Any], Any]
# Values of these types are JSON as they are; a field converts others.
_EXACT: Mapping[type[fields.Field[Any]], frozenset[type]] = {
    fields.String: frozenset({str, NoneType}),
    fields.Integer: frozenset({int, NoneType}),
    fields.Float: frozenset({float, NoneType}),
    fields.Boolean: frozenset({bool, NoneType}),
}


class Blueprint(flask_smorest.Blueprint):
    """A blueprint whose answers are written by msgspec."""

    def response(  # noqa: D102 - as the original
        self, status_code: int, schema: Any = None, **documented: Any
    ) -> Callable[[View], View]:
        document = super().response(status_code, schema, **documented)  # type: ignore[no-untyped-call] # flask-smorest's
        return document if schema is None else _answering(document, status_code, Writer(schema))


def _answering(
    document: Callable[[View], View], status_code: int, write: "Writer"
) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def answering(*args: Any, **kwargs: Any) -> Response:
            answer, status, headers = unpack_tuple_response(view(*args, **kwargs))
            if isinstance(answer, Response):
                return answer
            body = write(answer)
            response = Response(body, status or status_code, headers, mimetype=JSON)
            return _as_accepted(response, write, body) if write.has_buckets else response

        return document(answering)  # type: ignore[arg-type] # it wraps one

    return decorate


def _as_accepted(response: Response, write: "Writer", body: bytes) -> Response:
    """The same answer in the form that the client prefers.

    Raises:
        NotAcceptable: the server has no pyarrow.
    """
    response.vary.add("Accept")
    media_type = accepted(JSON, *TABLES)
    if media_type != JSON:
        response.data = bucket_tables_module().write(write.schema, body, media_type)
        response.mimetype = media_type
    return response


class Writer:
    """Writes the answers of one schema.

    Elements of its lists are written one by one, so that a long answer exists only as text.
    """

    def __init__(self, schema: Schema | type[Schema]) -> None:
        self.schema: Schema = resolve_schema_instance(schema)
        self._members = _Members(
            self.schema, lambda member: msgspec.Raw(msgspec.json.encode(member))
        )

    @property
    def has_buckets(self) -> bool:
        """Whether answers have a list of objects that are named so."""
        field = self.schema.dump_fields.get("buckets")
        return isinstance(field, fields.List) and isinstance(field.inner, fields.Nested)

    def __call__(self, answer: Any) -> bytes:
        """JSON in UTF-8. Like msgspec, it writes null for numbers that are not finite."""
        return msgspec.json.encode(self._members(answer))


class _Members:
    """Makes the members of a JSON object from a mapping or an object with attributes.

    What has to be done depends on the types of the values, and is the same for most objects: a
    plan is made for each combination of types. `finish` is applied to elements of lists of objects.
    """

    def __init__(self, schema: Schema, finish: Convert | None = None) -> None:
        if schema._hooks[PRE_DUMP] or schema._hooks[POST_DUMP]:  # noqa: SLF001 - no other way
            raise TypeError(f"{type(schema).__name__} has hooks, which would not be called")
        own = schema.dump_fields
        self._fields = {
            name if field.data_key is None else field.data_key: _Field(field, finish)
            for name, field in own.items()
        }
        self._names = [field.attribute or name for name, field in own.items()]
        self._get = attrgetter(*self._names) if len(own) > 1 else self._get_each
        self._plans: dict[tuple[type, ...], Convert] = {}

    def __call__(self, value: Any) -> Any:
        if value is None:
            return None
        values = self._values(value)
        types = tuple(map(type, values))
        plan = self._plans.get(types)
        if plan is None:
            plan = self._plans[types] = _plan(self._fields, types)
        return plan(values)

    def _values(self, value: Any) -> tuple[Any, ...]:
        if type(value) is dict:
            return tuple([_member(value, name) for name in self._names])
        try:
            values: tuple[Any, ...] = self._get(value)
        except AttributeError:
            values = self._get_each(value)
        return values

    def _get_each(self, value: Any) -> tuple[Any, ...]:
        return tuple([get_value(value, name, missing) for name in self._names])


def _plan(own: Mapping[str, "_Field"], types: Sequence[type]) -> Convert:
    """What has to be done to values of certain types, to make the members of an object of them.

    msgspec writes a struct faster than a dictionary, and Python creates it faster.
    """
    found = [
        (place, name, field.conversion(type_))
        for place, ((name, field), type_) in enumerate(zip(own.items(), types, strict=True))
    ]
    kept = [(place, name) for place, name, convert in found if convert is not _OMITTED]
    conversions = [
        (place, convert) for place, _, convert in found if convert not in (None, _OMITTED)
    ]
    struct = msgspec.defstruct(
        "Members",
        [f"m{place}" for place, _ in kept],
        rename={f"m{place}": name for place, name in kept},
        gc=False,
    )
    places = [place for place, _ in kept]
    pick = itemgetter(*places) if len(places) > 1 else lambda values: [values[p] for p in places]

    def make(values: Sequence[Any]) -> msgspec.Struct:
        changed = list(values)
        for place, convert in conversions:
            changed[place] = convert(changed[place])
        return struct(*pick(changed))

    return make if conversions else lambda values: struct(*pick(values))


def _OMITTED(_: Any) -> Any:  # noqa: N802 - a constant
    """The conversion of a member that is omitted."""
    raise AssertionError


def _member(value: dict[str, Any], name: str) -> Any:
    """A member of an object; a name may be of an attribute of a member, after a dot."""
    return value[name] if name in value else get_value(value, name, missing)


class _Field:
    """A field of a schema, and how it converts values.

    `exact` are the types of values that are JSON as they are.
    """

    def __init__(self, field: fields.Field[Any], finish: Convert | None = None) -> None:
        self._field = field
        self.exact = _EXACT.get(type(field), frozenset())
        self.convert: Convert = self._by_schema
        self.element: _Field | None = None  # of a list
        if isinstance(field, fields.List):
            self.element = _Field(field.inner)
            self.convert = _elements(self.element, finish)
        elif isinstance(field, fields.Nested):
            members = _Members(field.schema)
            self.convert = _each(members) if field.many or field.schema.many else members

    @property
    def is_object(self) -> bool:
        """Whether its values are objects with members."""
        return isinstance(self._field, fields.Nested)

    def conversion(self, type_: type) -> Convert | None:
        """How values of a type are converted; None if they are JSON as they are."""
        if type_ in self.exact:
            return None
        if type_ is type(missing):
            default = self._field.dump_default
            return self._constant(default() if callable(default) else default)
        # None is up to the field, also instead of a list or an object
        return self._constant(None) if type_ is NoneType else self.convert

    def _constant(self, value: Any) -> Convert | None:
        written = missing if value is missing else self._by_schema(value)
        if written is missing:
            return _OMITTED
        return lambda _: written

    def _by_schema(self, value: Any) -> Any:
        return self._field._serialize(value, "", None)  # noqa: SLF001 - what `serialize` calls


def _elements(inner: _Field, finish: Convert | None) -> Convert:
    """How a list is converted: not at all, if all of its elements are exact."""
    if inner.is_object:
        members = inner.convert
        return _each(members if finish is None else lambda value: finish(members(value)))

    def convert(values: Iterable[Any]) -> list[Any]:
        elements = values if type(values) is list else list(values)
        types = set(map(type, elements))
        if types <= inner.exact or (types == {list} and _are_exact(inner, elements)):
            return elements
        conversions = {type_: inner.conversion(type_) for type_ in types}
        return [
            value if (conversion := conversions[type(value)]) is None else conversion(value)
            for value in elements
        ]

    return convert


def _are_exact(inner: _Field, lists: list[list[Any]]) -> bool:
    """Whether all elements of lists in a list are exact."""
    return inner.element is not None and inner.element.exact.issuperset(
        map(type, chain.from_iterable(lists))
    )


def _each(convert: Convert) -> Convert:
    return lambda values: [convert(value) for value in values]
