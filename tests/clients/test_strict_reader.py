"""The reader that stands for Xen Orchestra's clients: what it refuses is what harms the real library, and a little more."""

from collections.abc import Awaitable, Callable
from typing import Any

Node = Callable[..., Awaitable[dict[str, Any]]]

GOOD = {
    '{"id":ID,"jsonrpc":"2.0","result":null}': "resolved",
    '{"jsonrpc":"2.0","id":ID,"result":{"error":null}}': "resolved",
    '{"error":{"code":3,"message":"invalid credentials"},"id":ID,"jsonrpc":"2.0"}': "rejected",
    '{"error":{"code":10,"data":{"errors":[{"instancePath":"","message":"m"}]},"message":"m"},"id":ID,"jsonrpc":"2.0"}': "rejected",
    '{"jsonrpc":"2.0","method":"all","params":{"type":"exit","items":{"a":0}}}': "notified",
    '{"jsonrpc":"2.0","method":"all","params":{"type":"enter","items":{"a":{"id":"a","type":"VM"}}}}': "notified",
    '{"jsonrpc":"2.0","method":"warmMigration","params":{}}': "notified",
}
HARMFUL = (
    "nonsense",
    '{"id":ID,"result":1}',
    '{"id":ID,"jsonrpc":"2.1","result":1}',
    '{"id":ID,"jsonrpc":"2.0","result":1,"error":null}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":"1","message":"m"}}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":1.5,"message":"m"}}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":1}}',
    '{"id":7,"jsonrpc":"2.0","result":1}',
    '{"id":null,"jsonrpc":"2.0","result":1}',
    '{"id":null,"jsonrpc":"2.0","error":{"code":1,"message":"m"}}',
    '{"id":null,"jsonrpc":"2.0","method":"all","params":{"type":"exit","items":{"a":0}}}',
    '{"jsonrpc":"2.0","method":"all","params":null}',
)
TOLERATED = (
    'BINARY{"id":ID,"jsonrpc":"2.0","result":1}',
    '{"id":"ID","jsonrpc":"2.0","result":1}',
    '[{"id":ID,"jsonrpc":"2.0","result":1}]',
    '{"id":ID,"jsonrpc":"2.0"}',
    '{"id":ID,"jsonrpc":"2.0","result":1,"more":1}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":1,"message":"m","more":1}}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":10,"message":"m"}}',
    '{"id":ID,"jsonrpc":"2.0","error":{"code":10,"message":"m","data":{"errors":[{"message":"m"}]}}}',
    '{"jsonrpc":"2.0","method":"other","params":{}}',
    '{"jsonrpc":"2.0","method":"all","params":{"type":"enter","items":{}}}',
    '{"jsonrpc":"2.0","method":"all","params":{"type":"changed","items":{"a":0}}}',
    '{"jsonrpc":"2.0","method":"all","params":{"type":"exit","items":{"a":null}}}',
    '{"jsonrpc":"2.0","method":"all","params":{"type":"enter","items":{"a":0}}}',
    '{"jsonrpc":"2.0","method":"all","params":{"type":"enter","items":{"a":{"id":"a","type":"task"}}}}',
)


async def test_what_harms_the_real_client_is_refused(node: Node) -> None:
    """Each frame is sent to npm's library too, which hangs or crashes at the harmful ones; the tolerated ones harm who reads them."""
    told = await node("strictness.mjs", *GOOD, *HARMFUL, *TOLERATED)
    outcomes = dict(zip([*GOOD, *HARMFUL, *TOLERATED], map(tuple, told["outcomes"]), strict=True))
    assert {frame: outcomes[frame] for frame in GOOD} == {frame: (effect, False) for frame, effect in GOOD.items()}
    assert {
        frame: outcomes[frame] for frame in HARMFUL if outcomes[frame] not in [("crashed", True), ("hung", True)]
    } == {}
    tolerated = {"resolved", "rejected", "notified"}
    assert {
        frame: outcomes[frame] for frame in TOLERATED if not (outcomes[frame][1] and outcomes[frame][0] in tolerated)
    } == {}
