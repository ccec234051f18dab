"""The XML that stands in some fields, as maps: attributes and children by name, those of one name as a list."""

from typing import Any
from xml.etree import ElementTree


def xml_map(text: object) -> dict[str, Any]:
    """The root by its name; empty where there is no XML."""
    if not isinstance(text, str) or "<" not in text:
        return {}
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return {}
    return {root.tag: _value(root)}


def within(value: object, *names: str) -> Any:
    """What stands under these names, one within the other; None when there is no such thing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def as_list(value: object) -> list[Any]:
    """What may stand once, several times, or not at all."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _value(element: ElementTree.Element) -> Any:
    if not len(element) and not element.attrib:
        return (element.text or "").strip()
    found: dict[str, Any] = dict(element.attrib)
    for child in element:
        value = _value(child)
        found[child.tag] = [*as_list(found[child.tag]), value] if child.tag in found else value
    return found
