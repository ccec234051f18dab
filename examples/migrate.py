"""Moves a VM with xo_warmig.client and tells how far it is: XO_WARMIG_URL=... XO_WARMIG_TOKEN=... python migrate.py VM SR"""

import asyncio
import os
import sys

from xo_warmig.client import Client, connect


async def tell(client: Client) -> None:
    async for told in client.notifications():
        if told.method == "warmMigration":
            report = told.params["report"]
            print(f"{report['vmName']}: {report['phase']}, {report['progress']:.0%}")


async def main(vm: str, sr: str) -> None:
    async with (
        connect(os.environ["XO_WARMIG_URL"], token=os.environ["XO_WARMIG_TOKEN"]) as client,
        asyncio.TaskGroup() as group,
    ):
        telling = group.create_task(tell(client))
        print(await client.call("vm.warmMigration", vm=vm, sr=sr, startDestinationVm=True, deleteSourceVm=False))
        telling.cancel()


asyncio.run(main(*sys.argv[1:]))
