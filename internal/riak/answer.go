package riak

import (
	"context"
	"strconv"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// Release is the release of Riak whose protocol this is, which clients ask for to
// learn what they may use.
const Release = "2.2.3"

// answer appends the answer to a request. An error is answered by the caller; what
// was appended before it stays only where it has been sent.
func (c *conn) answer(ctx context.Context, code pb.Code, body []byte) error {
	switch code {
	case pb.GetReq, pb.PutReq, pb.DelReq:
		c.server.parts.Metrics.Requests[metrics.DoorRiak].Add(1)
		return c.answerKey(ctx, code, body)
	case pb.PingReq:
		c.out = pb.AppendEmpty(c.out, pb.PingResp)
	case pb.GetServerInfoReq:
		p := &c.server.parts
		c.out = pb.AppendServerInfo(c.out, p.Name, Release+" (Ringtail "+p.Version+")")
	case pb.GetClientIDReq:
		c.out = pb.AppendClientID(c.out, c.clientID)
	case pb.SetClientIDReq:
		id, err := pb.ParseClientID(body)
		if err != nil {
			return err
		}
		if len(id) > kv.MaxBucket {
			return kv.Errorf(kv.KindTooLarge, "set client id", "it has %d bytes, the limit is %d", len(id), kv.MaxBucket)
		}
		c.clientID = append([]byte(nil), id...)
		c.out = pb.AppendEmpty(c.out, pb.SetClientIDResp)
	case pb.StartTLS:
		return wordsNoTLS
	case pb.AuthReq:
		return wordsNoAuth
	default:
		return c.answerBucket(ctx, code, body)
	}
	return nil
}

// answerKey answers a request for one key.
func (c *conn) answerKey(ctx context.Context, code pb.Code, body []byte) error {
	switch code {
	case pb.GetReq:
		m, err := pb.ParseGet(body)
		if err != nil {
			return err
		}
		return c.get(ctx, &m)
	case pb.PutReq:
		m, err := pb.ParsePut(body)
		if err != nil {
			return err
		}
		return c.put(ctx, &m)
	default:
		m, err := pb.ParseDel(body)
		if err != nil {
			return err
		}
		return c.del(ctx, &m)
	}
}

// answerBucket answers what is for more than one key.
func (c *conn) answerBucket(ctx context.Context, code pb.Code, body []byte) error {
	switch code {
	case pb.ListBucketsReq:
		return c.listBuckets(ctx, body)
	case pb.ListKeysReq:
		return c.listKeys(ctx, body)
	case pb.GetBucketReq:
		return c.getBucket(body)
	case pb.SetBucketReq:
		return c.setBucket(ctx, body)
	case pb.ResetBucketReq:
		return c.resetBucket(ctx, body)
	case pb.GetBucketTypeReq:
		return c.getType(body)
	case pb.SetBucketTypeReq:
		return c.setType(ctx, body)
	case pb.GetPreflistReq:
		return c.preflist(body)
	}
	if what := code.Lacking(); what != "" {
		return words("Ringtail has no " + what)
	}
	return words("Unknown message code: " + strconv.Itoa(int(code)))
}
