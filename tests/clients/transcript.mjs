// Replays transcripts.txt against a server, over plain websockets of npm's ws: what the transcript's client says is sent as it stands, and
// what the server says must fit. Prints what was named as one JSON line. Usage: node transcript.mjs URL NAME=VALUE ...
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { WebSocket } from 'ws'
import { StrictReader } from './strict_reader.mjs'

const [url, ...given] = process.argv.slice(2)
const names = Object.fromEntries(given.map(each => each.split(/=(.*)/s, 2)))

const filledIn = text =>
  text.replace(/\$([A-Z]+)\b/g, (_, name) => {
    assert.ok(name in names, `nothing is named ${name}`)
    return names[name]
  })

// Whether `found` is as `wanted` asks; names what it names.
function fits(wanted, found) {
  if (typeof wanted === 'string') {
    return textFits(wanted, found)
  }
  if (wanted === null || typeof wanted !== 'object') {
    return wanted === found
  }
  if (found === null || typeof found !== 'object' || Array.isArray(wanted) !== Array.isArray(found)) {
    return false
  }
  const keys = Object.keys(wanted)
  const [any] = keys
  if (keys.length === 1 && any.startsWith('...')) {
    return Object.entries(found).some(([key, value]) => textFits(any, key) && fits(wanted[any], value))
  }
  return (
    keys.every(key => key === '...' || (key in found && fits(wanted[key], found[key]))) &&
    ('...' in wanted || Object.keys(found).every(key => key in wanted))
  )
}

function textFits(wanted, found) {
  if (wanted === '#' || wanted === '#?') {
    return typeof found === 'number' || (wanted === '#?' && found === null)
  }
  if (!wanted.startsWith('...')) {
    return filledIn(wanted) === found
  }
  if (typeof found !== 'string' || found === '') {
    return false
  }
  if (wanted !== '...') {
    names[wanted.slice(3)] = found
  }
  return true
}

// `$pool` and `_xapiRef` are members of XO's, not names of ours: those are in capitals.
const asWanted = text => JSON.parse(text, (key, value) => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return value
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [/^\$[A-Z]+$/.test(name) ? filledIn(name) : name, each]))
})

class Line {
  #frames = []
  #arrived = () => {}
  #reader = new StrictReader()

  constructor() {
    this.socket = new WebSocket(url)
    this.socket.on('message', (data, isBinary) => {
      this.#frames.push(this.#reader.read(isBinary ? data : data.toString()))
      this.#arrived()
    })
  }

  say(text) {
    this.#reader.sent(text)
    this.socket.send(text)
  }

  async hear(wanted) {
    for (;;) {
      while (this.#frames.length === 0) {
        await new Promise(resolve => (this.#arrived = resolve))
      }
      const found = this.#frames.shift()
      if (fits(wanted, found)) {
        return
      }
      assert.ok('method' in found, `wanted ${JSON.stringify(wanted)}, but the answer is ${JSON.stringify(found)}`)
    }
  }
}

async function replay(frames) {
  const line = new Line()
  await new Promise((resolve, reject) => line.socket.on('open', resolve).on('error', reject))
  for (const frame of frames) {
    frame.startsWith('> ') ? line.say(filledIn(frame.slice(2))) : await line.hear(asWanted(frame.slice(2)))
  }
  line.socket.close()
}

const text = readFileSync(new URL('transcripts.txt', import.meta.url), 'utf8')
let count = 0
for (const paragraph of text.split('\n\n')) {
  const frames = paragraph.split('\n').filter(line => /^[<>] /.test(line))
  await replay(frames)
  count += frames.length
}
console.log(JSON.stringify({ frames: count, names }))
