package state

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// separator must not occur in a part of a key, so that the parts can be joined
// by it and sort as they do apart: it sorts before every other byte.
const separator = "\x00"

// Key names an entry. Resource is "plural" or "plural.group", or begins with
// "_" for an internal table.
type Key struct {
	Resource  string
	Namespace string
	Name      string
}

// String returns the key for messages: resource namespace/name.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Resource + " " + k.Name
	}
	return k.Resource + " " + k.Namespace + "/" + k.Name
}

// Compare orders keys as lists do.
func (k Key) Compare(o Key) int {
	if c := strings.Compare(k.Resource, o.Resource); c != 0 {
		return c
	}
	if c := strings.Compare(k.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(k.Name, o.Name)
}

func keyOf(k *storev1.Key) Key {
	return Key{Resource: k.GetResource(), Namespace: k.GetNamespace(), Name: k.GetName()}
}

func (k Key) valid() bool {
	if k.Resource == "" || k.Name == "" {
		return false
	}
	for _, part := range [...]string{k.Resource, k.Namespace, k.Name} {
		if strings.Contains(part, separator) || !utf8.ValidString(part) {
			return false
		}
	}
	return true
}

// Check says what is wrong with the form of a transaction, so that it need not
// be proposed. Apply fails the operation of one that is proposed nevertheless.
func Check(tx *storev1.Transaction) error {
	if len(tx.GetId()) > maxID {
		return fmt.Errorf("transaction id of %d bytes is longer than %d", len(tx.GetId()), maxID)
	}
	if tx.GetExpire() != nil && len(tx.GetOperations()) > 0 {
		return fmt.Errorf("transaction that expires entries has %d operations: it must have none", len(tx.GetOperations()))
	}
	changed := changes{ops: tx.GetOperations()}
	for i, op := range tx.GetOperations() {
		key := keyOf(op.GetKey())
		if !key.valid() {
			return fmt.Errorf("operation %d on %q: resource and name must be set, and no part may hold a zero byte or other than UTF-8", i, key)
		}
		if !wellFormed(op) {
			return fmt.Errorf("operation %d on %s: unknown precondition %v or action %v, expiry %d before 1970, or index %q is not UTF-8",
				i, key, op.GetPrecondition(), op.GetAction(), op.GetExpiresUnix(), op.GetIndex())
		}
		if op.GetAction() == storev1.Action_ACTION_UNSPECIFIED {
			continue
		}
		if changed.before(i, key) {
			return fmt.Errorf("operation %d on %s: the transaction changes this key already", i, key)
		}
	}
	return nil
}

func wellFormed(op *storev1.Operation) bool {
	return op.GetPrecondition() >= storev1.Precondition_PRECONDITION_UNSPECIFIED &&
		op.GetPrecondition() <= storev1.Precondition_PRECONDITION_REVISION &&
		op.GetAction() >= storev1.Action_ACTION_UNSPECIFIED &&
		op.GetAction() <= storev1.Action_ACTION_DELETE &&
		op.GetExpiresUnix() >= 0 &&
		!slices.ContainsFunc(op.GetIndex(), func(value string) bool { return !utf8.ValidString(value) })
}
