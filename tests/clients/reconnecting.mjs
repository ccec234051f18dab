// A client as xo-web has it: it opens again when its connection is lost, with xo-lib's delays, is signed in by that, and makes the call
// again that the loss had failed. Prints "copying" when a pass is under way, and in the end one JSON line. Usage: node reconnecting.mjs URL
// TOKEN VM SR
import assert from 'node:assert/strict'
import jsonRpc from 'jsonrpc-websocket-client'
import { XoDouble } from './xo_double.mjs'

const [url, token, vm, sr] = process.argv.slice(2)

const client = new XoDouble({ url, credentials: { token } })
const happened = []
let told = false
client.on('scheduledAttempt', () => happened.push('scheduled'))
client.on('authenticationFailure', error => happened.push(`refused: ${error.message}`))
client.on('authenticated', () => happened.push('authenticated'))
client.on('notification', ({ method, params }) => {
  const report = method === 'warmMigration' ? params.report : undefined
  if (!told && report?.phase === 'copying' && report.currentPass?.disks[0]?.doneBytes > 0) {
    told = true
    console.log('copying')
  }
})
client.on('closed', () => {
  assert.equal(client.user, null)
  happened.push('closed')
  client.open(jsonRpc.createBackoff())
})

const signedIn = () => new Promise(resolve => client.once('authenticated', resolve))
const migrate = () => client.call('vm.warmMigration', { vm, sr, startDestinationVm: true, deleteSourceVm: false })

const first = signedIn()
await client.open(jsonRpc.createBackoff())
await first
const asked = migrate()
const again = signedIn()
await assert.rejects(asked, { message: 'connection has been closed' })
await again
const target = await migrate()
const reports = await client.call('warmMigration.list', {})
client.removeAllListeners('closed')
await client.close()
console.log(JSON.stringify({ target, happened, migrations: reports.length, epoch: reports[0].epoch }))
