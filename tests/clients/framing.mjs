// The rules of JSON-RPC's framing as xo-server and its clients have them, one check each, over sockets of npm's ws; what comes back is read by
// npm's json-rpc-protocol. Prints the names of the checks that held, as one JSON line. Usage: node framing.mjs URL TOKEN EMAIL VM SR
import assert from 'node:assert/strict'
import jsonRpc from 'jsonrpc-websocket-client'
import { parse } from 'json-rpc-protocol'
import { WebSocket } from 'ws'

const [url, token, email, vm, sr] = process.argv.slice(2)
const VERSION = 'system.getVersion'
const FIRST = -9007199254740991

class Line {
  #frames = []
  #arrived = () => {}

  static async open(options) {
    const line = new Line()
    line.socket = new WebSocket(url, options)
    line.closed = new Promise(resolve => line.socket.on('close', resolve))
    line.socket.on('message', (data, isBinary) => {
      assert.ok(!isBinary, 'a binary frame')
      line.#frames.push(data.toString())
      line.#arrived()
    })
    await new Promise((resolve, reject) => line.socket.on('open', resolve).on('error', reject))
    return line
  }

  say(message) {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
    return this
  }

  // The next frame that is no notification.
  async answer() {
    for (;;) {
      while (this.#frames.length === 0) {
        await new Promise(resolve => (this.#arrived = resolve))
      }
      const text = this.#frames.shift()
      const message = JSON.parse(text)
      if (!('method' in message)) {
        return message
      }
    }
  }

  ask(method, params, id = FIRST) {
    return this.say({ id, jsonrpc: '2.0', method, params }).answer()
  }

  // It still answers, and to nothing that was said before.
  async lives() {
    assert.deepEqual(await this.ask(VERSION, {}, 'still there'), { id: 'still there', jsonrpc: '2.0', result: '0.1' })
  }
}

const signedIn = async () => {
  const line = await Line.open()
  assert.equal((await line.ask('session.signIn', { token })).result.email, email)
  return line
}

// Refused by an error with that code and id, after which the socket is as before.
const refused = (line, code, id) => async frame => {
  const answer = await line.say(frame).answer()
  assert.equal(parse(answer).type, 'error', frame)
  assert.deepEqual([answer.error.code, answer.id, 'result' in answer], [code, id, false], frame)
  await line.lives()
}

const CHECKS = {
  async 'ids come back as they were sent'() {
    const line = await Line.open()
    for (const id of [FIRST, FIRST + 1, -1, 0, 1, 2 ** 53 - 1, 1.5, 'text', '', '7', 'é\u2028"']) {
      const answer = await line.ask(VERSION, {}, id)
      assert.deepEqual(answer, { id, jsonrpc: '2.0', result: '0.1' })
    }
  },

  async 'an answer has a result or an error, never both'() {
    const line = await signedIn()
    const [good, bad] = [await line.ask(VERSION, {}), await line.ask('no.such', {})]
    assert.deepEqual(Object.keys(good).sort(), ['id', 'jsonrpc', 'result'])
    assert.deepEqual(Object.keys(bad).sort(), ['error', 'id', 'jsonrpc'])
    assert.equal(parse(good).type, 'response')
    assert.equal(parse(bad).type, 'error')
  },

  async 'what returns nothing returns true'() {
    const line = await signedIn()
    assert.equal((await line.ask('session.signOut', {})).result, true)
  },

  async 'params may be missing'() {
    const line = await Line.open()
    assert.equal((await line.ask(VERSION, undefined)).result, '0.1')
  },

  async 'positions are no parameters'() {
    const line = await Line.open()
    const { error } = await line.ask('system.methodSignature', [VERSION])
    assert.equal(error.code, 10)
    assert.deepEqual(error.data.errors.map(each => each.keyword), ['required', 'additionalProperties'])
  },

  async 'calls run side by side and are answered as they complete'() {
    const line = await signedIn()
    line.say({ id: 1, jsonrpc: '2.0', method: 'vm.warmMigration', params: { vm, sr, startDestinationVm: false, deleteSourceVm: false } })
    for (let id = 2; id < 22; ++id) {
      line.say({ id, jsonrpc: '2.0', method: VERSION, params: {} })
    }
    const order = []
    while (order.length < 21) {
      const answer = await line.answer()
      assert.ok('result' in answer, JSON.stringify(answer))
      order.push(answer.id)
    }
    assert.equal(order.at(-1), 1)
    assert.deepEqual(new Set(order), new Set(Array.from({ length: 21 }, (_, i) => i + 1)))
  },

  // As examples/migrate.sh needs it, whose program sends all that it has at once.
  async 'a token is taken before the next message is looked at'() {
    for (let round = 0; round < 20; ++round) {
      const line = await Line.open()
      line.say({ id: 1, jsonrpc: '2.0', method: 'session.signIn', params: { token } })
      line.say({ id: 2, jsonrpc: '2.0', method: 'session.getUser', params: {} })
      const answers = [await line.answer(), await line.answer()]
      assert.deepEqual(answers.map(each => each.result?.email), [email, email])
      line.socket.close()
    }
  },

  async 'notifications and answers of a client are ignored'() {
    const line = await signedIn()
    line.say({ jsonrpc: '2.0', method: 'session.signOut', params: {} })
    line.say({ method: 'session.signOut', params: [], id: null })
    line.say({ jsonrpc: '2.0', id: 5, result: 5 })
    line.say({ jsonrpc: '2.0', id: 5, error: { code: -32601, message: 'method not found: x' } })
    assert.equal((await line.ask('session.getUser', {})).result.email, email)
  },

  async 'JSON-RPC 1.0 is understood, and answered as 2.0'() {
    const line = await Line.open()
    assert.deepEqual(await line.say({ id: 3, method: VERSION, params: [] }).answer(), { id: 3, jsonrpc: '2.0', result: '0.1' })
    await refused(line, -32600, 3)('{"id":3,"method":"system.getVersion","params":{}}')
    await refused(line, -32600, 3)('{"id":3,"method":"system.getVersion"}')
  },

  async 'bytes are read as text'() {
    const line = await Line.open()
    const frame = Buffer.from(JSON.stringify({ id: 3, jsonrpc: '2.0', method: VERSION }))
    assert.deepEqual(await line.say(frame).answer(), { id: 3, jsonrpc: '2.0', result: '0.1' })
  },

  async 'what is no message is refused'() {
    const line = await Line.open()
    for (const frame of ['', 'nonsense', '{"id":1', '"\\ud800']) {
      await refused(line, -32700, null)(frame)
    }
    for (const frame of [
      '3',
      'null',
      '"text"',
      '{}',
      '{"jsonrpc":"2.0","id":null,"method":"system.getVersion"}',
      '{"jsonrpc":"2.0","id":true,"method":"system.getVersion"}',
      '{"jsonrpc":"2.0","id":{},"method":"system.getVersion"}',
    ]) {
      await refused(line, -32600, null)(frame)
    }
    for (const frame of [
      '{"jsonrpc":"2.0","id":4,"method":"system.getVersion","params":null}',
      '{"jsonrpc":"2.0","id":4,"method":"system.getVersion","params":"x"}',
      '{"jsonrpc":"1.0","id":4,"method":"system.getVersion","params":[]}',
      '{"jsonrpc":2,"id":4,"method":"system.getVersion"}',
      '{"jsonrpc":"2.0","id":4,"method":4}',
      '{"jsonrpc":"2.0","id":4}',
    ]) {
      await refused(line, -32600, 4)(frame)
    }
  },

  // xo-server sends garbage here, so that nobody's client uses it; this is what JSON-RPC 2.0 says.
  async 'a batch is answered by one array, or not at all'() {
    const line = await Line.open()
    const call = { id: 1, jsonrpc: '2.0', method: VERSION }
    const answers = await line.say([call, { jsonrpc: '2.0', method: VERSION }, { ...call, id: 'two' }, 5]).answer()
    assert.deepEqual(parse(JSON.stringify(answers)).map(each => [each.id, each.type]), [[1, 'response'], ['two', 'response'], [null, 'error']])
    line.say([{ jsonrpc: '2.0', method: VERSION }])
    await refused(line, -32600, null)('[]')
  },

  async 'nothing is told to who has not signed in'() {
    const [quiet, loud] = [await Line.open(), await signedIn()]
    const frames = []
    quiet.socket.on('message', data => frames.push(data.toString()))
    const heard = new Promise(resolve =>
      loud.socket.on('message', data => data.toString().includes('told to somebody') && data.toString().includes('"enter"') && resolve())
    )
    await loud.ask('vm.set', { id: vm, name_description: 'told to somebody' })
    await heard
    await quiet.lives()
    assert.equal(frames.length, 1)
  },

  async 'no subprotocol is needed, and none is chosen'() {
    const line = await Line.open()
    assert.equal(line.socket.protocol, '')
  },

  async 'a frame of a megabyte is taken, whole or in pieces'() {
    const line = await signedIn()
    const text = JSON.stringify({ id: 1, jsonrpc: '2.0', method: VERSION, params: { 'padding?': 'x'.repeat(1 << 20) } })
    assert.equal((await line.say(text).answer()).result, '0.1')
    line.socket.send(text.slice(0, 1000), { fin: false })
    line.socket.send(text.slice(1000), { fin: true })
    assert.equal((await line.answer()).result, '0.1')
  },

  async 'a closed socket fails what was asked on it'() {
    const client = new jsonRpc.JsonRpcWebSocketClient(url)
    await client.open()
    await client.call('session.signIn', { token })
    const asked = client.call('vm.warmMigration', { vm, sr: 'none', startDestinationVm: false, deleteSourceVm: false })
    const failed = assert.rejects(asked, { message: 'connection has been closed' })
    client._socket.terminate()
    await failed
  },
}

const only = process.env.ONLY ?? ''
for (const [name, check] of Object.entries(CHECKS).filter(([name]) => name.includes(only))) {
  await check().catch(error => {
    throw new Error(name, { cause: error })
  })
}
console.log(JSON.stringify({ held: Object.keys(CHECKS) }))
process.exit() // sockets are open still
