# SPDX-License-Identifier: Apache-2.0
"""The OpenAI function schema of a Python function, from its signature and its docstring.

What comes out is what camel.toolkits.FunctionTool makes of the same function (which has pydantic and a docstring
library for it; here is only the standard library, and pydantic for the parameters whose types are its models):
strict mode, every parameter required, one with a default nullable instead, *args and **kwargs left out.
"""
import collections.abc
import datetime
import decimal
import enum
import inspect
import pathlib
import re
import types
import typing
import uuid

UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))
PLAIN = {
    int: {"type": "integer"}, float: {"type": "number"}, str: {"type": "string"}, bool: {"type": "boolean"},
    bytes: {"type": "string", "format": "binary"}, type(None): {"type": "null"}, None: {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"}, datetime.date: {"type": "string", "format": "date"},
    datetime.time: {"type": "string", "format": "time"}, datetime.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"}, pathlib.Path: {"type": "string", "format": "path"},
    decimal.Decimal: {"anyOf": [{"type": "number"}, {"type": "string"}]},
}
LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.MutableSequence)
SETS = (set, frozenset, collections.abc.Set, collections.abc.MutableSet)
DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def is_model(kind):
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_json_schema")


# ---- types ----

def literal_schema(values):
    values = [v.value if isinstance(v, enum.Enum) else v for v in values]
    kinds = {PLAIN[type(v)]["type"] for v in values if type(v) in PLAIN}
    schema = {"const": values[0]} if len(values) == 1 else {"enum": values}
    if len(kinds) == 1:
        schema["type"] = kinds.pop()
    return schema


def enum_schema(kind, defs):
    schema = literal_schema(list(kind)) if list(kind) else {"enum": []}
    if kind.__doc__ and kind.__doc__ != "An enumeration.":
        schema["description"] = inspect.cleandoc(kind.__doc__)
    defs[kind.__name__] = schema
    return {"$ref": "#/$defs/" + kind.__name__}


def model_schema(kind, defs):
    schema = kind.model_json_schema()
    defs.update(schema.pop("$defs", {}))
    if "$ref" not in schema:
        defs[kind.__name__] = schema
    return {"$ref": "#/$defs/" + kind.__name__}


def record_schema(kind, hints, required, defs):
    """A TypedDict or a dataclass."""
    defs[kind.__name__] = {}
    defs[kind.__name__].update(type="object", required=required,
                               properties={name: type_schema(t, defs) for name, t in hints.items()})
    if not required:
        del defs[kind.__name__]["required"]
    return {"$ref": "#/$defs/" + kind.__name__}


def tuple_schema(args, defs):
    if len(args) == 2 and args[1] is Ellipsis:
        return {"type": "array", "items": type_schema(args[0], defs)}
    return {"type": "array", "prefixItems": [type_schema(a, defs) for a in args],
            "minItems": len(args), "maxItems": len(args)}


def union_schema(args, defs):
    options = []
    for arg in args:
        option = type_schema(arg, defs)
        if option not in options:
            options.append(option)
    return options[0] if len(options) == 1 else {"anyOf": options}


def class_schema(kind, defs):
    """Of a type without arguments of its own."""
    if kind in PLAIN:
        return dict(PLAIN[kind])
    if is_model(kind):
        return model_schema(kind, defs)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return enum_schema(kind, defs)
    if kind in LISTS:
        return {"type": "array", "items": {}}
    if kind is tuple:
        return {"type": "array", "items": {}}
    if kind in SETS:
        return {"type": "array", "items": {}, "uniqueItems": True}
    if kind in DICTS:
        return {"type": "object", "additionalProperties": True}
    if hasattr(kind, "__total__") and hasattr(kind, "__required_keys__"):
        hints = typing.get_type_hints(kind)
        return record_schema(kind, hints, [n for n in hints if n in kind.__required_keys__], defs)
    if hasattr(kind, "__dataclass_fields__"):
        fields = kind.__dataclass_fields__.values()
        needed = [f.name for f in fields if repr(f.default) + repr(f.default_factory) == repr(MISSING) * 2]
        return record_schema(kind, typing.get_type_hints(kind), needed, defs)
    return {}


def type_schema(kind, defs):
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "__metadata__"):  # Annotated
        return type_schema(args[0], defs)
    if origin is None:
        return class_schema(kind, defs)
    if origin is typing.Literal:
        return literal_schema(args)
    if origin in UNIONS:
        return union_schema(args, defs)
    if not args:
        return class_schema(origin, defs)
    if origin is tuple:
        return tuple_schema(args, defs)
    if origin in SETS:
        return {"type": "array", "items": type_schema(args[0], defs), "uniqueItems": True}
    if origin in LISTS:
        return {"type": "array", "items": type_schema(args[0], defs)}
    if origin in DICTS:
        return {"type": "object", "additionalProperties": type_schema(args[1], defs) or True}
    return class_schema(origin, defs)


MISSING = __import__("dataclasses").MISSING


# ---- docstrings ----

def first_and_rest(text):
    first, newline, rest = text.partition("\n")
    return first + (newline + inspect.cleandoc(rest) if newline else "")


def summary(text):
    first, _, rest = text.partition("\n")
    return first + ("\n" + rest.strip() if rest.strip() else "")


def google_doc(text):
    titles = re.compile(r"^(Arguments|Args|Parameters|Params|Raises|Exceptions|Except|Attributes|Examples?|Returns|"
                        r"Yields):[ \t\r\f\v]*$", re.M)
    found = list(titles.finditer(text))
    params = {}
    for i, match in enumerate(found):
        body = text[match.end():found[i + 1].start() if i + 1 < len(found) else len(text)]
        other = re.search(r"\n\S", body)
        body = (body[:other.start()] if other else body).strip("\n")
        if match[1] not in ("Arguments", "Args", "Parameters", "Params", "Attributes"):
            continue
        indent = re.match(r"\s*", body)[0]
        for part in re.split("^" + re.escape(indent) + r"(?=\S)", body, flags=re.M)[1:]:
            before, colon, desc = part.strip("\n").partition(":")
            if not colon:
                raise ValueError("no colon")
            name = re.match(r"\s*(.+?)\s*\(\s*(.*\S+)\s*\)", before.replace("\n", ""))
            params[name[1] if name else before] = first_and_rest(desc[1:] if desc[:1] == " " else desc).strip("\n")
    return summary(text[:found[0].start()] if found else text), params, len(found)


def field_doc(mark):
    """:param int name: text (ReST), or @param name: text (Epydoc)."""
    def parse(text):
        start = re.search("^" + mark, text, flags=re.M)
        params, n = {}, 0
        for match in re.finditer(rf"(^{mark}.*?)(?=^{mark}|\Z)", text[start.start():] if start else "", re.S | re.M):
            head, _, desc = match[1].lstrip(mark).partition(":")
            words = head.split()
            n += words[:1] not in ([], ["type"], ["rtype"])
            if len(words) > 1 and words[0] in ("param", "parameter", "arg", "argument", "attribute", "key", "keyword"):
                params[words[-1].rstrip("?")] = first_and_rest(desc.strip())
        return summary(text[:start.start()] if start else text), params, n
    return parse


def numpy_doc(text):
    title = re.compile(r"^(\w[\w ]*)\s*?\n(-+)\s*$", re.M)
    found = [m for m in title.finditer(text) if len(m[1]) == len(m[2])]
    params = {}
    for i, match in enumerate(found):
        body = text[match.end():found[i + 1].start() if i + 1 < len(found) else len(text)]
        if match[1] not in ("Parameters", "Params", "Arguments", "Args", "Other Parameters", "Other Params",
                            "Other Arguments", "Other Args", "Attributes"):
            continue
        keys = list(re.finditer(r"^[^\s].*$", body, re.M))
        for j, key in enumerate(keys):
            value = body[key.end():keys[j + 1].start() if j + 1 < len(keys) else len(body)]
            params[re.match(r"[^:]*?(?=\s*(:|$))", key[0])[0]] = inspect.cleandoc(value).strip()
    return summary(text[:found[0].start()] if found else text), params, len(found)


def parse_doc(text):
    """The description, and those of the parameters; of the styles the one that finds most counts."""
    best = ("", {}, -1)
    text = inspect.cleandoc(text or "")
    for style in (field_doc(":"), google_doc, numpy_doc, field_doc("@")):
        try:
            found = style(text)
        except ValueError:
            continue
        if (len(found[1]), found[2]) > (len(best[1]), best[2]):
            best = found
    return best[0], best[1]


# ---- functions ----

def drop_titles(node, parent=None):
    """Those that pydantic makes; a parameter may be called title."""
    if isinstance(node, dict):
        if parent not in ("properties", "$defs", "items", "allOf", "oneOf", "anyOf"):
            node.pop("title", None)
        for key, value in node.items():
            drop_titles(value, key)
    elif isinstance(node, list):
        for value in node:
            drop_titles(value, parent)


def close_objects(node):
    if isinstance(node, list):
        for value in node:
            close_objects(value)
    if not isinstance(node, dict):
        return
    if node.get("type") == "object":
        node.setdefault("additionalProperties", False)
    for key in ("items", "allOf", "oneOf", "anyOf"):
        close_objects(node.get(key))
    for key in ("properties", "$defs"):
        close_objects(list(node.get(key, {}).values()))


def make_nullable(schema):
    """What stands for "has a default" in strict mode."""
    if "$ref" in schema:
        return
    if "anyOf" in schema:
        schema.pop("type", None)
        if {"type": "null"} not in schema["anyOf"]:
            schema["anyOf"].append({"type": "null"})
    elif "type" not in schema:
        schema["type"] = ["null"]
    elif isinstance(schema["type"], str):
        schema["type"] = [schema["type"], "null"]
    elif "null" not in schema["type"]:
        schema["type"] = [*schema["type"], "null"]


def annotations(function):
    """With what stands in quotes looked up, as far as that is possible."""
    target = function if hasattr(function, "__annotations__") else getattr(function, "__call__", function)
    try:
        return typing.get_type_hints(target)
    except Exception:
        return getattr(target, "__annotations__", {})


def of_function(function, name=None):
    description, described = parse_doc(function.__doc__)
    hints, defs, properties = annotations(function), {}, {}
    for param in inspect.signature(function).parameters.values():
        if param.kind in (param.VAR_POSITIONAL, param.VAR_KEYWORD):
            continue
        kind = hints.get(param.name, typing.Any)
        # Before Python 3.11 a default of None made a type Optional.
        schema = type_schema(kind, defs)
        if param.default is not param.empty:
            make_nullable(schema)
        if described.get(param.name) and "$ref" not in schema:
            schema["description"] = described[param.name]
        properties[param.name] = schema
    parameters = {"type": "object", "properties": properties, "required": list(properties),
                  "additionalProperties": False}
    if defs:
        parameters["$defs"] = defs
    drop_titles(parameters)
    close_objects(parameters)
    return {"type": "function", "function": {"name": name or function.__name__, "description": description,
                                             "strict": True, "parameters": parameters}}
