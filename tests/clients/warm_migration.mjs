// npm's jsonrpc-websocket-client (what xo-lib and xo-cli are made of) against the server: sign in, vm.warmMigration, notifications until
// the result. Prints one JSON line. Usage: node warm_migration.mjs URL EMAIL PASSWORD VM SR
import assert from 'node:assert/strict'
import jsonRpc from 'jsonrpc-websocket-client'

const [url, email, password, vm, sr] = process.argv.slice(2)
const { JsonRpcWebSocketClient: Client } = jsonRpc

const client = new Client(url)
const tasks = []
const reports = []
client.on('notification', ({ method, params }) => {
  if (method === 'warmMigration') {
    reports.push(params.report)
  } else if (method === 'all' && params.type === 'enter') {
    tasks.push(...Object.values(params.items).filter(item => item.type === 'task' && item.applies_to === vm))
  }
})

await client.open()
const refused = await client.call('vm.warmMigration', { vm, sr }).catch(error => error)
assert.equal(refused.code, 2, 'nobody is signed in')

const signedIn = await client.call('session.signIn', { email, password })
assert.equal(signedIn.email, email)

const incomplete = await client.call('vm.warmMigration', { vm, sr }).catch(error => error)
assert.equal(incomplete.code, 10)
assert.deepEqual(
  incomplete.data.errors.map(error => error.params.missingProperty),
  ['startDestinationVm', 'deleteSourceVm']
)

const target = await client.call('vm.warmMigration', { vm, sr, startDestinationVm: true, deleteSourceVm: false })
assert.match(target, /^[0-9a-f-]{36}$/)
assert.notEqual(target, vm)

// The task's last word may come after the answer.
for (let attempt = 0; attempt < 100 && !tasks.some(task => task.status === 'success'); ++attempt) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
const progress = tasks.map(task => task.progress)
assert.ok(tasks.some(task => task.status === 'pending'), 'the task was seen running')
assert.ok(progress.every((value, i) => i === 0 || value >= progress[i - 1]), 'progress never goes back')
assert.equal(progress.at(-1), 1)
assert.equal(tasks.at(-1).status, 'success')
assert.ok(tasks.every(task => Array.isArray(task.allowedOperations)))

await client.close()
const phases = [...new Set(reports.map(report => report.phase))]
console.log(JSON.stringify({ target, phases, notifications: tasks.length + reports.length }))
