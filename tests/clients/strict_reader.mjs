// What Xen Orchestra's clients need of every frame that a server sends: one that would hang or crash them, or that a browser could not
// read, is thrown as an Error. Their rules are json-rpc-protocol's (its `parse` judges too), json-rpc-peer's, and those of who reads the
// answers: xo-cli's formatter of errors and xo-web's reading of `all`.
import assert from 'node:assert/strict'
import { parse } from 'json-rpc-protocol'

export class StrictReader {
  #pending = new Map() // method by id
  counts = { result: 0, error: 0, all: 0, warmMigration: 0 }

  // A frame that the client sends.
  sent(text) {
    const { id, method } = JSON.parse(text)
    this.#pending.set(id, method)
  }

  // Nothing that was asked on a connection is answered on the next one.
  closed() {
    this.#pending.clear()
  }

  // A frame of the server's, as `ws` gives it; the message in it.
  read(data) {
    assert.equal(typeof data, 'string', 'a binary frame: a browser reads "[object Blob]"')
    const message = JSON.parse(data)
    try {
      assert.ok(message !== null && typeof message === 'object' && !Array.isArray(message), 'no object: not one message')
      assert.equal(message.jsonrpc, '2.0')
      parse(data)
      'method' in message ? this.#notification(message) : this.#answer(message)
    } catch (error) {
      throw new Error(`${error.message}: ${data.slice(0, 500)}`, { cause: error })
    }
    return message
  }

  #notification(message) {
    hasOnly(message, ['jsonrpc', 'method', 'params'])
    assert.ok(message.method in this.counts, `no client knows what ${message.method} is`)
    if (message.method === 'all') {
      checkItems(message.params)
    }
    ++this.counts[message.method]
  }

  #answer(message) {
    assert.equal(typeof message.id, 'number', 'the id is not of the type that was sent')
    assert.ok(this.#pending.delete(message.id), 'an answer to nothing that was asked: the client fails with a TypeError')
    assert.notEqual('result' in message, 'error' in message, 'result and error, or neither')
    if ('result' in message) {
      hasOnly(message, ['id', 'jsonrpc', 'result'])
      ++this.counts.result
    } else {
      hasOnly(message, ['error', 'id', 'jsonrpc'])
      checkError(message.error)
      ++this.counts.error
    }
  }
}

const hasOnly = (object, names) => assert.deepEqual(Object.keys(object).sort(), names)

function checkError(error) {
  assert.ok(Number.isInteger(error.code), 'a code that is no integer')
  assert.equal(typeof error.message, 'string', 'a message that is no text')
  const { code, message, data, ...others } = error
  assert.deepEqual(others, {}, 'members of an error that nobody reads')
  if (code === 10) {
    assert.ok(data !== null && typeof data === 'object', "xo-cli looks for 'errors' in the data")
    for (const each of data.errors ?? []) {
      assert.equal(typeof each.instancePath, 'string', 'xo-cli prints it after "property @"')
      assert.equal(typeof each.message, 'string')
    }
  }
}

// xo-web takes a truthy item as an object to put into its store, and a falsy one as the end of one, whatever `type` says.
function checkItems({ type, items }) {
  assert.ok(type === 'enter' || type === 'exit', `neither enter nor exit: ${type}`)
  assert.ok(Object.keys(items).length > 0, 'nothing in it')
  for (const [id, item] of Object.entries(items)) {
    if (type === 'exit') {
      assert.equal(item, 0)
      continue
    }
    assert.equal(item.id, id)
    assert.equal(typeof item.type, 'string')
    if (item.type === 'task') {
      assert.ok(Array.isArray(item.allowedOperations), 'xo-web reads the length of allowedOperations')
    }
  }
}
