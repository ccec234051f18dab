"""Prints what becomes of every VM of all pools, also after the server was away: XO_WARMIG_URL=... XO_WARMIG_TOKEN=... python watch.py"""

import asyncio
import math
import os

from xo_warmig.client import Client, persistently


async def watch(client: Client) -> None:
    told = client.notifications()
    for vm in (await client.call("xo.getAllObjects", filter={"type": "VM"})).values():
        print(vm["id"], vm["power_state"], vm["name_label"], flush=True)
    async for notification in told:
        for id, item in notification.params.get("items", {}).items():
            if item and item["type"] == "VM":
                print(id, item["power_state"], item["name_label"], flush=True)


url, token = os.environ["XO_WARMIG_URL"], os.environ["XO_WARMIG_TOKEN"]
asyncio.run(persistently(watch, url, token=token, objects=True, patience_seconds=math.inf))
