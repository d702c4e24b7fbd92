// Package pb holds the messages of Riak's protocol buffers as plain data: their
// codes, and how requests are read and answers written. riak.proto beside it
// lists the messages with their fields; the code is written by hand, so that a
// request is read in place and an answer appended to what goes out
// (docs/adr/0017-riak.md).
package pb

// Code says what a message is. On the wire a message is preceded by its length,
// the code included, in 4 bytes, and the code in one.
type Code uint8

// Codes of the messages.
const (
	ErrorResp         Code = 0
	PingReq           Code = 1
	PingResp          Code = 2
	GetClientIDReq    Code = 3
	GetClientIDResp   Code = 4
	SetClientIDReq    Code = 5
	SetClientIDResp   Code = 6
	GetServerInfoReq  Code = 7
	GetServerInfoResp Code = 8
	GetReq            Code = 9
	GetResp           Code = 10
	PutReq            Code = 11
	PutResp           Code = 12
	DelReq            Code = 13
	DelResp           Code = 14
	ListBucketsReq    Code = 15
	ListBucketsResp   Code = 16
	ListKeysReq       Code = 17
	ListKeysResp      Code = 18
	GetBucketReq      Code = 19
	GetBucketResp     Code = 20
	SetBucketReq      Code = 21
	SetBucketResp     Code = 22
	MapRedReq         Code = 23
	IndexReq          Code = 25
	SearchQueryReq    Code = 27
	ResetBucketReq    Code = 29
	ResetBucketResp   Code = 30
	GetBucketTypeReq  Code = 31
	SetBucketTypeReq  Code = 32
	GetPreflistReq    Code = 33
	GetPreflistResp   Code = 34
	CSBucketReq       Code = 40
	CounterUpdateReq  Code = 50
	CounterGetReq     Code = 52
	YZIndexGetReq     Code = 54
	YZIndexPutReq     Code = 56
	YZIndexDeleteReq  Code = 57
	YZSchemaGetReq    Code = 58
	YZSchemaPutReq    Code = 60
	CoverageReq       Code = 70
	DtFetchReq        Code = 80
	DtUpdateReq       Code = 82
	TsQueryReq        Code = 90
	TsPutReq          Code = 92
	TsDelReq          Code = 94
	TsGetReq          Code = 96
	TsListKeysReq     Code = 98
	TsCoverageReq     Code = 100
	TsTtbReq          Code = 104
	AuthReq           Code = 253
	StartTLS          Code = 255
)

// lacking says of requests that Ringtail knows and does not serve what they ask
// for.
var lacking = map[Code]string{
	MapRedReq:        "map-reduce",
	IndexReq:         "secondary indexes",
	CSBucketReq:      "secondary indexes",
	SearchQueryReq:   "search",
	YZIndexGetReq:    "search",
	YZIndexPutReq:    "search",
	YZIndexDeleteReq: "search",
	YZSchemaGetReq:   "search",
	YZSchemaPutReq:   "search",
	CoverageReq:      "coverage plans",
	CounterUpdateReq: "data types",
	CounterGetReq:    "data types",
	DtFetchReq:       "data types",
	DtUpdateReq:      "data types",
	TsQueryReq:       "time series",
	TsPutReq:         "time series",
	TsDelReq:         "time series",
	TsGetReq:         "time series",
	TsListKeysReq:    "time series",
	TsCoverageReq:    "time series",
	TsTtbReq:         "time series",
}

// Lacking returns what a request asks for that Ringtail does not have, empty for
// one that it serves or does not know.
func (c Code) Lacking() string { return lacking[c] }
