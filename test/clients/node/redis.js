'use strict'

const { createClient, createCluster, RESP_TYPES } = require('redis')
const { check, many } = require('./checks.js')

const [, , mode, port] = process.argv

function adapt (r) {
  const buffers = r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    set: (k, v) => r.set(k, v),
    get: k => r.get(k),
    getBuffer: k => buffers.get(k),
    setFor: (k, v, s) => r.set(k, v, { EX: s }),
    ttl: k => r.ttl(k),
    expire: async (k, s) => Boolean(await r.expire(k, s)),
    mget: keys => r.mGet(keys),
    del: k => r.del(k),
    incr: k => r.incr(k),
    // What is asked for in one turn goes out as one pipeline.
    pipelineSet: keys => Promise.all(keys.map(k => r.set(k, k))),
    pipelineGet: keys => Promise.all(keys.map(k => r.get(k)))
  }
}

async function main () {
  const url = `redis://127.0.0.1:${port}`
  const r = mode === 'cluster' ? createCluster({ rootNodes: [{ url }] }) : createClient({ url })
  r.on('error', err => { throw err })
  await r.connect()
  await check(adapt(r), `redis:${mode}:`)
  if (mode === 'cluster') await many(adapt(r), 'redis')
  await r.close()
  console.log(`node-redis ${require('redis/package.json').version}, ${mode}: ok`)
}

main().catch(err => { console.error(err); process.exit(1) })
