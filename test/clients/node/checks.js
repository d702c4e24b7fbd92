// What each client is asked to do, written once: a client is an object of
// functions (see ioredis.js).
'use strict'

const assert = require('node:assert')

const binary = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

async function check (client, prefix) {
  await client.set(prefix + 'a', 'hello')
  assert.strictEqual(await client.get(prefix + 'a'), 'hello')
  assert.strictEqual(await client.get(prefix + 'none'), null)

  await client.setFor(prefix + 'soon', 'x', 100)
  const left = await client.ttl(prefix + 'soon')
  assert.ok(left > 90 && left <= 100, `ttl ${left}`)
  assert.strictEqual(await client.expire(prefix + 'a', 50), true)
  assert.ok(await client.ttl(prefix + 'a') > 40)

  await client.set(prefix + 'bin', binary)
  assert.deepStrictEqual(await client.getBuffer(prefix + 'bin'), binary)

  const keys = Array.from({ length: 1000 }, (_, i) => `${prefix}p${i}`)
  await client.pipelineSet(keys)
  assert.deepStrictEqual(await client.pipelineGet(keys), keys)
  assert.deepStrictEqual(await client.mget([`{${prefix}}1`, `{${prefix}}2`]), [null, null])
  await client.set(`{${prefix}}1`, 'one')
  assert.deepStrictEqual(await client.mget([`{${prefix}}1`, `{${prefix}}2`]), ['one', null])

  assert.strictEqual(await client.del(prefix + 'a'), 1)
  assert.strictEqual(await client.del(prefix + 'a'), 0)
  await assert.rejects(client.incr(prefix + 'n'), /no node of an always-writable store/)
}

async function many (client, prefix) {
  const rounds = 10
  for (let round = 0; round < rounds; round++) {
    await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`${prefix}:${round}:${i}`, 'v')))
  }
}

module.exports = { check, many }
