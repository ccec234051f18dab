// npm's xen-api (what Xen Orchestra itself uses) against a simulated pool: sign-in, object cache by events, asynchronous calls, and a
// VDI exported and imported. Prints one JSON line. Usage: node xen_api.mjs URL USER PASSWORD SR_UUID VDI_UUID
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createClient } from 'xen-api'

const [url, user, password, srUuid, vdiUuid] = process.argv.slice(2)
const MIB = 1024 * 1024

const xapi = createClient({ url, allowUnauthorized: true, auth: { user, password }, watchEvents: true })
xapi.on('error', error => {
  throw error
})

const collect = async stream => {
  const chunks = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

// The body of an export ends before dom0 has let go of the disk.
const destroy = async ref => {
  for (let attempt = 0; ; ++attempt) {
    try {
      return await xapi.callAsync('VDI.destroy', ref)
    } catch (error) {
      if (error.code !== 'VDI_IN_USE' || attempt === 50) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

const download = async (ref, format) => {
  const response = await xapi.getResource('/export_raw_vdi/', {
    query: { vdi: ref, format },
    task: await xapi.call('task.create', 'client test', format),
  })
  assert.equal(response.statusCode, 200)
  const body = await collect(response.body)
  await response.task
  return body
}

await xapi.connect()
await xapi.objectsFetched
const sr = xapi.getObject(srUuid)
assert.equal(sr.$type, 'SR')
assert.equal(sr.$pool.$ref, xapi.pool.$ref)
assert.ok(sr.$VDIs.length > 0, 'links of the object cache resolve')

// An asynchronous call: its result comes through the task, its object through an event.
const snapshotRef = await xapi.callAsync('VDI.snapshot', xapi.getObject(vdiUuid).$ref)
const snapshot = await xapi.barrier(snapshotRef)
assert.equal(snapshot.$snapshot_of.uuid, vdiUuid)

// A change made here comes back as an event: that is what barrier waits for.
await xapi.setField('VDI', snapshotRef, 'name_label', 'seen by an event')
const after = await xapi.barrier(snapshotRef)
assert.equal(after.name_label, 'seen by an event')

const vhd = await download(snapshotRef, 'vhd')
assert.equal(vhd.subarray(0, 8).toString(), 'conectix')

const size = Number(snapshot.virtual_size)
const copyRef = await xapi.call('VDI.create', {
  name_label: 'client test', name_description: '', SR: sr.$ref, virtual_size: size, type: 'user', sharable: false, read_only: false,
  other_config: {}, xenstore_data: {}, sm_config: {}, tags: [],
})
const task = await xapi.call('task.create', 'client test', 'import')
await xapi.putResource(vhd, '/import_raw_vdi/', { query: { vdi: copyRef, format: 'vhd' }, task })

const sha256 = data => createHash('sha256').update(data).digest('hex')
const [one, other] = [await download(snapshotRef, 'raw'), await download(copyRef, 'raw')]
assert.equal(one.length, size)
assert.equal(sha256(one), sha256(other))

// A failure has XAPI's code and parameters.
const error = await xapi.callAsync('VM.start', 'OpaqueRef:nope', false, false).catch(error => error)
assert.equal(error.code, 'HANDLE_INVALID')

await destroy(copyRef)
await destroy(snapshotRef)
await xapi.disconnect()
console.log(JSON.stringify({ vhdMebibytes: vhd.length / MIB, sha256: sha256(one) }))
