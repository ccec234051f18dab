// A double of xo-lib 0.11, which npm does not have, made as it is of jsonrpc-websocket-client (packages/xo-lib/src/index.js of Xen
// Orchestra), and strict: a frame that its peer would hang or crash at is an uncaught error, at once.
import jsonRpc from 'jsonrpc-websocket-client'
import { StrictReader } from './strict_reader.mjs'

const { JsonRpcWebSocketClient } = jsonRpc

export class XoDouble extends JsonRpcWebSocketClient {
  #credentials
  user = null

  constructor({ url, credentials }) {
    super(`${url.replace(/\/+$/, '')}/api/`)
    this.#credentials = credentials
    this.reader = new StrictReader()
    this.prependListener('message', data => this.reader.read(data))
    this.on('open', () => {
      if (this.#credentials !== undefined) {
        this.#signIn().catch(() => {}) // told by an event
      }
    })
    this.on('closed', () => {
      this.user = null
      this.reader.closed()
    })
  }

  call(method, params) {
    if (method.startsWith('session.')) {
      return Promise.reject(new Error('session.*() methods are disabled from this interface'))
    }
    return super.call(method, params)
  }

  send(text) {
    this.reader.sent(text)
    super.send(text)
  }

  signIn(credentials) {
    this.#credentials = credentials
    return this.#signIn()
  }

  async refreshUser() {
    this.user = await super.call('session.getUser')
    return this.user
  }

  async #signIn() {
    try {
      this.user = await super.call('session.signIn', this.#credentials)
    } catch (error) {
      this.emit('authenticationFailure', error)
      throw error
    }
    this.emit('authenticated')
  }
}
