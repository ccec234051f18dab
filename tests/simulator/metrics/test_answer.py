"""The forms that xapi's answer had over time."""

import json
import math

from xo_warmig.simulator.metrics.answer import Updates, as_json, as_older_json, as_xml

UPDATES = Updates(995, 5, 1000, ["AVERAGE:vm:u:a", "AVERAGE:vm:u:b"], [(1000, [1.5, math.nan]), (995, [0.0, math.inf])])


def test_xml() -> None:
    """To the letter."""
    assert as_xml(UPDATES) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<xport><meta><start>995</start><step>5</step><end>1000</end><rows>2</rows><columns>2</columns>"
        "<legend><entry>AVERAGE:vm:u:a</entry><entry>AVERAGE:vm:u:b</entry></legend></meta>"
        "<data><row><t>1000</t><v>1.5</v><v>NaN</v></row><row><t>995</t><v>0.0</v><v>Infinity</v></row></data></xport>"
    )


def test_json_with_numbers_as_strings() -> None:
    """As of today."""
    assert json.loads(as_json(UPDATES)) == {
        "meta": {
            "start": 995,
            "step": 5,
            "end": 1000,
            "rows": 2,
            "columns": 2,
            "legend": ["AVERAGE:vm:u:a", "AVERAGE:vm:u:b"],
        },
        "data": [{"t": 1000, "values": ["1.5", "NaN"]}, {"t": 995, "values": ["0.0", "Infinity"]}],
    }


def test_json_that_is_none() -> None:
    """As of 8.2 and before."""
    assert as_older_json(UPDATES) == (
        '{meta: {start:995,step:5,end:1000,rows:2,columns:2,legend:["AVERAGE:vm:u:a","AVERAGE:vm:u:b"]},'
        "data:[{t:1000,values:[1.5,NaN]},{t:995,values:[0.0,Infinity]}]}"
    )
