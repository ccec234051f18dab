// What a frame does to the real client, and what the strict reader says to it. Frames are read from the arguments, with ID for the id of
// the call that they answer, BINARY before one that is sent as bytes. Prints one JSON line: [[effect on the client, refused], ...].
import jsonRpc from 'jsonrpc-websocket-client'
import { WebSocketServer } from 'ws'
import { StrictReader } from './strict_reader.mjs'

const WAIT_MILLISECONDS = 150

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/api/' })
await new Promise(resolve => server.on('listening', resolve))

let frame
server.on('connection', socket =>
  socket.on('message', data => {
    const text = frame.replace('ID', JSON.parse(data).id)
    text.startsWith('BINARY') ? socket.send(Buffer.from(text.slice(6))) : socket.send(text)
  })
)

let crash
process.on('uncaughtException', error => crash(error))

async function effect() {
  const client = new jsonRpc.JsonRpcWebSocketClient(`ws://127.0.0.1:${server.address().port}/api/`)
  const reader = new StrictReader()
  const send = client.send.bind(client)
  client.send = text => {
    reader.sent(text)
    send(text)
  }
  let refused = false
  const crashed = new Promise(resolve => (crash = () => resolve('crashed')))
  const told = new Promise(resolve => client.on('notification', () => resolve('notified')))
  client.prependListener('message', data => {
    try {
      reader.read(data)
    } catch {
      refused = true
    }
  })
  await client.open()
  const settled = client.call('m').then(
    () => 'resolved',
    error => (typeof error.code === 'number' ? 'rejected' : 'crashed')
  )
  const hung = new Promise(resolve => setTimeout(resolve, WAIT_MILLISECONDS, 'hung'))
  const outcome = await Promise.race([settled, crashed, told, hung])
  settled.catch(() => {})
  await client.close()
  return [outcome, refused]
}

const outcomes = []
for (frame of process.argv.slice(2)) {
  outcomes.push(await effect())
}
console.log(JSON.stringify({ outcomes }))
server.close()
