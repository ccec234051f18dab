// Moves a VM with npm's jsonrpc-websocket-client, and tells how far it is: XO_WARMIG_URL=... XO_WARMIG_TOKEN=... node migrate.mjs VM SR
import jsonRpc from 'jsonrpc-websocket-client'

const [vm, sr] = process.argv.slice(2)
const client = new jsonRpc.JsonRpcWebSocketClient(`${process.env.XO_WARMIG_URL}/api/`)
client.on('notification', ({ method, params }) => {
  if (method === 'warmMigration') console.log(`${params.report.vmName}: ${params.report.phase}, ${Math.round(params.report.progress * 100)}%`)
})
await client.open()
await client.call('session.signIn', { token: process.env.XO_WARMIG_TOKEN })
console.log(await client.call('vm.warmMigration', { vm, sr, startDestinationVm: true, deleteSourceVm: false }))
await client.close()
