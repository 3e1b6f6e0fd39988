package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// Fields of storev1.Command.
const (
	fieldTransactions = 1
	fieldTime         = 2
	// transactionHead is what the tag and the length of a transaction take.
	transactionHead = 1 + 4
)

// proposal is transactions that somebody waits for together, here or on another
// member. They are encoded once, where they are made: the encodings of several
// proposals, one after the other, are that of a command with all of them, so
// they go through batches, members and the log as they are.
type proposal struct {
	ctx     context.Context // once it has ended nobody waits any more
	encoded []byte          // a Command that has nothing but the transactions
	count   int
	// retried says that this member tries until it knows what became of the
	// proposal. One of another member is tried once: that member tries again.
	retried bool
	// answer is called once, with a result for each transaction or an error, and
	// does not block.
	answer func([]*storev1.Result, error)
}

// fits tells whether more may share the proposal's log entry.
func (p *proposal) fits(count, bytes int) bool {
	return p.count+count <= batchCount && len(p.encoded)+bytes <= batchBytes
}

// append encodes a transaction of a size that SizeVT has just found.
func (p *proposal) append(tx *storev1.Transaction, size int) error {
	b := protowire.AppendTag(p.encoded, fieldTransactions, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	head := len(b)
	b = slices.Grow(b, size)[:head+size]
	if _, err := tx.MarshalToSizedBufferVT(b[head:]); err != nil {
		return err
	}
	p.encoded = b
	p.count++
	return nil
}

// errMalformed says that what another member proposes is not what it says.
var errMalformed = errors.New("proposal is not an encoded command of as many transactions as it says")

// checkEncoded looks at what another member has encoded: no further than that it
// can be joined to others, since a member is believed as Raft believes it.
func checkEncoded(encoded []byte, count int) error {
	for len(encoded) > 0 {
		field, kind, n := protowire.ConsumeTag(encoded)
		if n < 0 || field != fieldTransactions || kind != protowire.BytesType {
			return errMalformed
		}
		encoded = encoded[n:]
		if _, n = protowire.ConsumeBytes(encoded); n < 0 {
			return errMalformed
		}
		encoded = encoded[n:]
		count--
	}
	if count != 0 {
		return errMalformed
	}
	return nil
}

// batch is proposals that share a log entry.
type batch struct {
	proposals []*proposal
	count     int
	bytes     int
	size      int       // transactions that it had at first
	left      time.Time // when it was first tried
	// begun is how many transactions had been applied when it was first tried.
	begun uint64
	// changed is closed when somebody else leads than when it was last tried.
	changed <-chan struct{}
	err     error // why the last try did not settle it
	open    bool  // an earlier try may have succeeded
}

func (b *batch) add(p *proposal) {
	b.proposals = append(b.proposals, p)
	b.count += p.count
	b.bytes += len(p.encoded)
}

// fits tells whether a proposal may join the batch.
func (b *batch) fits(p *proposal) bool {
	return b.count+p.count <= batchCount && b.bytes+len(p.encoded) <= batchBytes
}

// keep drops the proposals that need no other try.
func (b *batch) keep(wanted func(*proposal) bool) {
	was := b.proposals
	b.proposals, b.count, b.bytes = was[:0], 0, 0
	for _, p := range was {
		if wanted(p) {
			b.add(p)
		}
	}
	clear(was[len(b.proposals):])
}

// transactions returns what the proposals encode. It must not be changed.
func (b *batch) transactions() []byte {
	if len(b.proposals) == 1 {
		return b.proposals[0].encoded
	}
	return b.join(0)
}

// command returns the encoded command of the proposals. It is a copy, since the
// log keeps it while the proposals may be tried again.
func (b *batch) command(at time.Time) []byte {
	data := b.join(1 + binary.MaxVarintLen64)
	data = protowire.AppendTag(data, fieldTime, protowire.VarintType)
	return protowire.AppendVarint(data, uint64(at.UnixNano()))
}

func (b *batch) join(room int) []byte {
	data := make([]byte, 0, b.bytes+room)
	for _, p := range b.proposals {
		data = append(data, p.encoded...)
	}
	return data
}

// answer hands each proposal its results.
func (b *batch) answer(results []*storev1.Result) {
	for _, p := range b.proposals {
		p.answer(results[:p.count:p.count], nil)
		results = results[p.count:]
	}
}
