#!/usr/bin/env python3
"""Makes the simulator's compact datamodel from XAPI's published one (prose already removed).

    scripts/compact_datamodel.py tests/reference/xapi-datamodel.json xo_warmig/simulator/datamodel.json

One class member a line, so that a change of the model reads as a change of lines. Of each class: the release it came with. Of each
field: name, type, qualifier, state, release it came with, release it went with, default text (absent: none). Of each message: name,
result, whether it is implicit, state, release in, release out, whether it takes a session, parameters as [name, type, required].
"""

import json
import sys
from pathlib import Path
from typing import Any


def releases(lifecycle: dict[str, Any]) -> tuple[str, str]:
    """The release that brought a member and the one that removed it, empty where the model does not say."""
    came = [release for kind, release in lifecycle["transitions"] if kind in ("published", "prototyped")]
    went = [release for kind, release in lifecycle["transitions"] if kind == "removed"]
    return (came[0] if came else ""), (went[0] if went else "")


def field_line(field: dict[str, Any]) -> list[Any]:
    state, (came, went) = field["lifecycle"]["state"], releases(field["lifecycle"])
    line = [field["name"], field["type"], field["qualifier"], state, came, went]
    return [*line, field["default"]] if "default" in field else line


def message_line(message: dict[str, Any]) -> list[Any]:
    state, (came, went) = message["lifecycle"]["state"], releases(message["lifecycle"])
    params = message["params"]
    takes_session = bool(params) and params[0][0] == "session_id"
    rest = [[name, kind, required] for name, kind, required in params[takes_session:]]
    return [message["name"], message["result"], message["implicit"], state, came, went, takes_session, rest]


def lines(rows: list[list[Any]]) -> str:
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def main(source: str, target: str) -> None:
    model = json.loads(Path(source).read_text())
    enums = {enum["name"]: enum["values"] for cls in model for enum in cls["enums"]}
    parts = [
        '{"enums": {\n' + ",\n".join(f"{json.dumps(n)}: {json.dumps(v)}" for n, v in sorted(enums.items())) + "\n},"
    ]
    classes = []
    for cls in model:
        fields = lines([field_line(field) for field in cls["fields"]])
        messages = lines([message_line(message) for message in sorted(cls["messages"], key=lambda m: str(m["name"]))])
        came = json.dumps(releases(cls["lifecycle"])[0])
        classes.append(f'{json.dumps(cls["name"])}: {{"came": {came}, "fields": {fields},\n"messages": {messages}}}')
    Path(target).write_text("\n".join([*parts, '"classes": {', ",\n".join(classes), "}}"]) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
