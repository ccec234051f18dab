"""Moves a VM with nothing but PyPI's websockets: XO_WARMIG_URL=... XO_WARMIG_TOKEN=... python migrate_by_websockets.py VM SR"""

import json
import os
import sys
from typing import Any

from websockets.sync.client import connect

vm, sr = sys.argv[1:]
with connect(os.environ["XO_WARMIG_URL"].replace("http", "ws", 1) + "/api/", max_size=100 << 20) as socket:

    def call(id: int, method: str, **params: Any) -> Any:
        socket.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
        while (answer := json.loads(socket.recv())).get("id") != id:
            pass  # a notification
        return answer["result"] if "result" in answer else sys.exit(json.dumps(answer["error"]))

    call(1, "session.signIn", token=os.environ["XO_WARMIG_TOKEN"])
    print(call(2, "vm.warmMigration", vm=vm, sr=sr, startDestinationVm=True, deleteSourceVm=False))
