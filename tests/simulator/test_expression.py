"""Filter texts of ``get_all_records_where``."""

from collections.abc import Callable
from typing import Any

import pytest

from xo_warmig.simulator.expression import parse
from xo_warmig.simulator.failure import XapiFailure
from xo_warmig.simulator.pool import SimPool

ROW: dict[str, Any] = {"power_state": "Running", "is_a_template": False, "VCPUs_max": 2, "tags": []}


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("true", True),
        ("not true", False),
        ('field "power_state" = "Running"', True),
        ("field 'power_state' = 'Halted'", False),
        ('"Running"=field "power_state"', True),
        ('field "VCPUs__max" = "2" and field "is_a_template" = "false"', True),
        ('false and true or field "tags" = "()"', True),
        ("false and (true or true)", False),
        ('not (field "is_a_template" = "true") and true', True),
    ],
)
def test_filters_are_evaluated(text: str, true: bool) -> None:
    """``and`` binds closer than ``or``."""
    assert parse(text)(ROW) is true


@pytest.mark.parametrize("text", ["", "field", 'field "a" "b"', "(true", "true true", "maybe", '"a" = #'])
def test_other_texts_are_refused(text: str) -> None:
    """Nothing is selected by guess."""
    with pytest.raises(XapiFailure, match="Expression_error"):
        parse(text)


def test_every_class_of_objects_can_be_filtered(client: Callable[..., Any], pool: SimPool) -> None:
    """By calls that the published datamodel leaves out."""
    (dom0,) = client("VM.get_all_where", 'field "is_control_domain" = "true"')
    assert dom0 == pool.dom0(pool.master)
    assert list(client("VM.get_all_records_where", 'field "power_state" = "Running"')) == [dom0]
    with pytest.raises(XapiFailure, match="Expression_error"):
        client("VM.get_all_where", 'field "flavour" = "sweet"')
