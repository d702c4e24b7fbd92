'use strict'

const Redis = require('ioredis')
const { check, many } = require('./checks.js')

const [, , mode, port] = process.argv

function adapt (r) {
  const values = async (pipeline) => (await pipeline.exec()).map(([err, v]) => { if (err) throw err; return v })
  const both = (keys, one) => mode === 'cluster'
    ? Promise.all(keys.map(k => one(r, k))) // a pipeline is for one node there
    : values(keys.reduce((p, k) => one(p, k), r.pipeline()))
  return {
    set: (k, v) => r.set(k, v),
    get: k => r.get(k),
    getBuffer: k => r.getBuffer(k),
    setFor: (k, v, s) => r.set(k, v, 'EX', s),
    ttl: k => r.ttl(k),
    expire: async (k, s) => await r.expire(k, s) === 1,
    mget: keys => r.mget(keys),
    del: k => r.del(k),
    incr: k => r.incr(k),
    pipelineSet: keys => both(keys, (to, k) => to.set(k, k)),
    pipelineGet: keys => both(keys, (to, k) => to.get(k))
  }
}

async function main () {
  const r = mode === 'cluster'
    ? new Redis.Cluster([{ host: '127.0.0.1', port: Number(port) }])
    : new Redis(Number(port))
  await check(adapt(r), `ioredis:${mode}:`)
  if (mode === 'cluster') await many(adapt(r), 'ioredis')
  await r.quit()
  console.log(`ioredis ${require('ioredis/package.json').version}, ${mode}: ok`)
}

main().catch(err => { console.error(err); process.exit(1) })
