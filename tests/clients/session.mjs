// A whole session of a client of Xen Orchestra's against the server: signing in, mistakes, vm.warmMigration with notifications until the
// result, and what the objects say then. Prints one JSON line. Usage: node session.mjs CLIENT URL EMAIL PASSWORD VM SR, where CLIENT is
// xo-lib (npm's, the last that was released there) or double (see xo_double.mjs).
import assert from 'node:assert/strict'
import xoLib from 'xo-lib'
import { XoDouble } from './xo_double.mjs'

const [kind, url, email, password, vm, sr] = process.argv.slice(2)
const Client = kind === 'double' ? XoDouble : xoLib.default

const client = new Client({ url, credentials: { email, password } })
const objects = []
const tasks = []
const reports = []
client.on('notification', ({ method, params }) => {
  if (method === 'warmMigration') {
    reports.push(params.report)
  } else if (method === 'all' && params.type === 'enter') {
    const items = Object.values(params.items)
    tasks.push(...items.filter(item => item.type === 'task' && item.applies_to === vm))
    objects.push(...items.filter(item => item.type === 'VM'))
  }
})

const authenticated = new Promise(resolve => client.on('authenticated', resolve))
await client.open()
await authenticated
assert.equal(client.user.email, email)
await assert.rejects(client.call('session.signOut', {}), /disabled/)
assert.equal((await client.refreshUser()).permission, 'admin')

const methods = await client.call('system.getMethodsInfo', {})
assert.equal(methods['vm.warmMigration'].permission, 'admin')
assert.equal((await client.call('xo.getAllObjects', {}))[vm].power_state, 'Running')

const codeOf = async (method, params) => (await client.call(method, params).catch(error => error)).code
assert.equal(await codeOf('vm.warmMigration', { vm, sr }), 10)
assert.equal(await codeOf('vm.warmMigration', { vm: 'nope', sr, startDestinationVm: true, deleteSourceVm: false }), 1)
assert.equal(await codeOf('vm.start', { id: vm }), 13)
assert.equal(await codeOf('no.such', {}), -32601)

const target = await client.call('vm.warmMigration', { vm, sr, startDestinationVm: true, deleteSourceVm: false })
assert.match(target, /^[0-9a-f-]{36}$/)
assert.notEqual(target, vm)

// The last words may come after the answer.
const toldOf = (id, state) => objects.some(each => each.id === id && each.power_state === state)
const all = () => tasks.some(task => task.status === 'success') && toldOf(vm, 'Halted') && toldOf(target, 'Running')
for (let attempt = 0; attempt < 100 && !all(); ++attempt) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
assert.ok(all(), 'the end of it was told')
const progress = tasks.map(task => task.progress)
assert.ok(tasks.some(task => task.status === 'pending'), 'the task was seen running')
assert.ok(progress.every((value, i) => i === 0 || value >= progress[i - 1]), 'progress never goes back')
assert.equal(progress.at(-1), 1)
assert.equal(tasks.at(-1).status, 'success')
assert.ok(tasks.every(task => Array.isArray(task.allowedOperations)))

const found = await client.call('xo.getAllObjects', { filter: { type: 'VM' } })
assert.deepEqual([found[vm].power_state, found[target].power_state], ['Halted', 'Running'])

const closed = new Promise(resolve => client.on('closed', resolve))
await client.close()
await closed
assert.equal(client.user, null)
await assert.rejects(Promise.resolve().then(() => client.call('system.getVersion', {})))
const phases = [...new Set(reports.map(report => report.phase))]
console.log(JSON.stringify({ target, phases, frames: client.reader?.counts ?? null }))
