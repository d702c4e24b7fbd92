"""redis-py against Ringtail, with its defaults."""

import logging
import sys

import redis

# The cluster client logs each error that it raises as well.
logging.disable()


def check(r, prefix):
    assert r.set(prefix + "a", "hello") is True
    assert r.get(prefix + "a") == b"hello"
    assert r.get(prefix + "none") is None
    assert r.set(prefix + "soon", "x", ex=100)
    assert 90 < r.ttl(prefix + "soon") <= 100
    assert r.expire(prefix + "a", 50)
    assert 40 < r.ttl(prefix + "a") <= 50
    binary = bytes(range(256))
    r.set(prefix + "bin", binary)
    assert r.get(prefix + "bin") == binary
    large = b"v" * (1 << 20)
    r.set(prefix + "large", large)
    assert r.get(prefix + "large") == large

    keys = [f"{prefix}p{i}" for i in range(1000)]
    p = r.pipeline(transaction=False) if single else r.pipeline()
    for k in keys:
        p.set(k, k)
    assert all(p.execute())
    for k in keys:
        p.get(k)
    assert p.execute() == [k.encode() for k in keys]
    tagged = ["{" + prefix + "}1", "{" + prefix + "}2"]
    r.set(tagged[0], "one")
    assert r.mget(tagged) == [b"one", None]
    assert r.delete(prefix + "a") == 1
    assert r.delete(prefix + "a") == 0
    refused(lambda: r.incr(prefix + "n"), "no node of an always-writable store")
    refused(lambda: r.set(prefix + "large", large + b"x"), "too large")
    assert r.ping()


def refused(call, why):
    try:
        call()
    except redis.ResponseError as e:
        assert why in str(e), e
        return
    raise AssertionError("it was not refused: " + why)


single = sys.argv[1] == "single"
if single:
    client = redis.Redis(port=int(sys.argv[2]))
else:
    client = redis.cluster.RedisCluster(host="127.0.0.1", port=int(sys.argv[2]))
check(client, "py:" + sys.argv[1] + ":")
if single:
    assert sum(1 for _ in client.scan_iter("py:single:p*", count=100)) == 1000
else:
    for i in range(1000):
        client.set(f"py:many:{i}", "v")
print("redis-py", redis.__version__, sys.argv[1], "ok")
