// What Riak's model promises its clients, asked for with basho-riak-client: with all
// nodes, and then once more with one of them stopped.
//
//     node basho.js PORT PID    the HTTP port of the first node, the process of the last
'use strict';

const assert = require('assert');
const Riak = require('basho-riak-client');

const port = Number(process.argv[2]);
const victim = Number(process.argv[3]);
const bucket = 'basho';
const unique = process.pid + '-' + Date.now();

// call makes a promise of one of the client's methods.
const call = (client, method, options) => new Promise((resolve, reject) =>
    client[method](options, (err, result) => (err ? reject(err) : resolve(result))));

const connect = (nodes) => new Promise((resolve, reject) => {
    const list = nodes.map((i) => new Riak.Node({ remoteAddress: '127.0.0.1', remotePort: port + 4 + 10 * i }));
    new Riak.Client(new Riak.Cluster({ nodes: list }), (err, client) => (err ? reject(err) : resolve(client)));
});

const end = (client) => new Promise((resolve) => client.stop((err, state) => {
    if (state === Riak.Cluster.State.SHUTDOWN) resolve();
}));

// api are the requests of the checks, in short.
function api(client) {
    return {
        get: (key, more) => call(client, 'fetchValue', Object.assign({ bucket, key }, more)),
        put: (key, value, vclock, more) => call(client, 'storeValue', Object.assign({ bucket, key, value, vclock }, more)),
        del: (key, vclock) => call(client, 'deleteValue', { bucket, key, vclock }),
    };
}

const values = (answer) => answer.values.map((v) => v.value.toString()).sort();

// checks are what is asked for, by name. Each has two clients, which may be
// connected to different nodes.
const checks = {
    'blind put twice gives two siblings': async (a, b, key) => {
        await a.put(key, 'one');
        await b.put(key, 'two');
        assert.deepStrictEqual(values(await a.get(key)), ['one', 'two']);
    },
    'a put with the context resolves': async (a, b, key) => {
        await a.put(key, 'one');
        await b.put(key, 'two');
        const seen = await a.get(key);
        await b.put(key, 'both', seen.vclock);
        assert.deepStrictEqual(values(await a.get(key)), ['both']);
    },
    'a stale context loses nothing': async (a, b, key) => {
        await a.put(key, 'first');
        const stale = await a.get(key);
        await b.put(key, 'second', stale.vclock);
        await a.put(key, 'late', stale.vclock);
        assert.deepStrictEqual(values(await b.get(key)), ['late', 'second']);
    },
    'two interleaved writers never see more than two siblings': async (a, b, key) => {
        const seen = [undefined, undefined];
        for (let i = 0; i < 40; i++) {
            const writer = [a, b][i % 2];
            const back = await writer.put(key, `${i % 2}-${i}`, seen[i % 2], { returnBody: true });
            assert(back.values.length <= 2, `${back.values.length} siblings after ${i + 1} puts`);
            seen[i % 2] = back.vclock;
        }
        const last = await a.get(key);
        assert.deepStrictEqual(values(last), ['0-38', '1-39']);
    },
    'delete with the context': async (a, b, key) => {
        await a.put(key, 'gone');
        const seen = await b.get(key);
        await b.del(key, seen.vclock);
        const none = await a.get(key, { returnDeletedVClock: true });
        assert(none.values[0].isTombstone && none.vclock);
        assert((await b.get(key)).isNotFound);
        await a.put(key, 'again', none.vclock);
        assert.deepStrictEqual(values(await b.get(key)), ['again']);
    },
    'a delete with a stale context leaves what it has not seen': async (a, b, key) => {
        await a.put(key, 'first');
        const stale = await a.get(key);
        await b.put(key, 'second', stale.vclock);
        await a.del(key, stale.vclock);
        const left = (await b.get(key)).values.filter((v) => !v.isTombstone);
        assert.deepStrictEqual(left.map((v) => v.value.toString()), ['second']);
    },
    'if_none_match': async (a, b, key) => {
        await a.put(key, 'one', undefined, { ifNoneMatch: true });
        await assert.rejects(b.put(key, 'two', undefined, { ifNoneMatch: true }), /match_found/);
        assert.deepStrictEqual(values(await a.get(key)), ['one']);
    },
    'if_not_modified': async (a, b, key) => {
        await assert.rejects(a.put(key, 'x', Buffer.from('none'), { ifNotModified: true }), /notfound/);
        await a.put(key, 'one');
        const seen = await a.get(key);
        await b.put(key, 'two', seen.vclock, { ifNotModified: true });
        await assert.rejects(a.put(key, 'three', seen.vclock, { ifNotModified: true }), /modified/);
        assert.deepStrictEqual(values(await a.get(key)), ['two']);
    },
    'what stands beside a value comes back': async (a, b, key) => {
        const o = new Riak.Commands.KV.RiakObject();
        o.setContentType('text/plain').setContentEncoding('identity').setUserMeta([{ key: 'colour', value: 'red' }])
            .addToIndex('age_int', 7).setValue('kept').setLinks([{ bucket: 'b', key: 'k', tag: 't' }]);
        await a.put(key, o);
        const got = (await b.get(key)).values[0];
        assert.strictEqual(got.getContentType(), 'text/plain');
        assert.strictEqual(got.getContentEncoding(), 'identity');
        assert.deepStrictEqual(got.getUserMeta(), [{ key: 'colour', value: 'red' }]);
        assert.deepStrictEqual(got.getIndex('age_int').map(String), ['7']);
        assert.deepStrictEqual(got.getLinks(), [{ bucket: 'b', key: 'k', tag: 't' }]);
        assert(got.getLastModified() > 0);
    },
    'a listing of keys': async (a, b, key) => {
        await a.put(key, 'listed');
        const found = await call(b.client, 'listKeys', { bucket, stream: false });
        assert(found.keys.includes(key));
    },
    'the preference list': async (a, b, key) => {
        const list = (await call(a.client, 'fetchPreflist', { bucket, key })).preflist;
        assert(list.length >= 2 && list.every((p) => p.primary && /^n[123]$/.test(p.node)));
    },
    'a bucket type that is not there': async (a, b, key) => {
        await assert.rejects(call(a.client, 'fetchValue', { bucketType: 'nowhere', bucket, key }), /No bucket-type named 'nowhere'/);
    },
};

async function round(name, a, b) {
    let done = 0;
    for (const [what, check] of Object.entries(checks)) {
        try {
            await check(a, b, `${name}-${done}-${unique}`);
        } catch (err) {
            console.error(`${name}: ${what}`);
            throw err;
        }
        done++;
    }
    console.log(`basho-riak-client, ${name}: ${done} passed`);
}

async function main() {
    let clients = [await connect([0]), await connect([1, 2])];
    const apis = () => clients.map((client) => Object.assign({ client }, api(client)));
    await round('three nodes', ...apis());
    await Promise.all(clients.map(end));
    process.kill(victim, 'SIGKILL');
    clients = [await connect([0]), await connect([1])];
    await round('two of three', ...apis());
    await Promise.all(clients.map(end));
}

main().then(() => process.exit(0), (err) => {
    console.error(err);
    process.exit(1);
});
