package codec

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Message is an object that has a protobuf encoding.
type Message interface {
	runtime.Object
	Unmarshal([]byte) error
}

// protobufMagic begins every object in Kubernetes' protobuf envelope.
var protobufMagic = []byte("k8s\x00")

// DecodeYAML reads YAML, as DecodeJSON does.
func DecodeYAML(data []byte, into runtime.Object, gvk schema.GroupVersionKind, v Validation) ([]string, error) {
	raw, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, unrecognized(gvk, err, data)
	}
	var found []error
	if v != Ignore {
		if _, err := yaml.YAMLToJSONStrict(data); err != nil {
			found = append(found, fmt.Errorf("%w", err))
		}
	}
	before, err := v.Settle(found)
	if err != nil {
		return nil, unreadable(gvk, err)
	}
	after, err := DecodeJSON(raw, into, gvk, v)
	return append(before, after...), err
}

// DecodeJSON reads JSON into an object that is expected to be of gvk; one that
// says nothing of its type is taken as such.
func DecodeJSON(data []byte, into runtime.Object, gvk schema.GroupVersionKind, v Validation) ([]string, error) {
	if err := checkType(data, gvk); err != nil {
		return nil, err
	}
	warnings, err := DecodeFields(data, into, v)
	if err != nil {
		return nil, unreadable(gvk, err)
	}
	into.GetObjectKind().SetGroupVersionKind(gvk)
	return warnings, nil
}

// DecodeFields reads JSON into an object; its errors are not API errors yet.
func DecodeFields(data []byte, into runtime.Object, v Validation) ([]string, error) {
	found, err := v.Read(data, into)
	if err != nil {
		return nil, err
	}
	return v.Settle(found)
}

// Read reads JSON, and returns which fields are unknown or given twice, unless these
// are ignored.
func (v Validation) Read(data []byte, into any) ([]error, error) {
	if v == Ignore {
		return nil, kjson.UnmarshalCaseSensitivePreserveInts(data, into)
	}
	return kjson.UnmarshalStrict(data, into)
}

// checkType refuses an object of another type than the request is about.
func checkType(data []byte, gvk schema.GroupVersionKind) error {
	var t metav1.TypeMeta
	if err := json.Unmarshal(data, &t); err != nil {
		return unrecognized(gvk, fmt.Errorf("couldn't get version/kind; json parse error: %w", err), data)
	}
	return sameType(t, gvk)
}

func sameType(t metav1.TypeMeta, gvk schema.GroupVersionKind) error {
	if t.Kind != "" && t.Kind != gvk.Kind {
		got := gvk.GroupVersion().WithKind(t.Kind)
		if t.APIVersion != "" {
			got = schema.FromAPIVersionAndKind(t.APIVersion, t.Kind)
		}
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: converting (%s.%s) to (%s.%s): unknown conversion",
			got.Kind, got.Version, gvk.Kind, got.Version, got.Kind, internalPackage(gvk.Group), gvk.Kind))
	}
	if t.APIVersion != "" && t.APIVersion != gvk.GroupVersion().String() {
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)",
			t.APIVersion, gvk.GroupVersion()))
	}
	return nil
}

// internalPackage is what Kubernetes calls the package of a group's types, which
// its message names.
func internalPackage(group string) string {
	if group == "" {
		return "core"
	}
	name, _, _ := strings.Cut(group, ".")
	return name
}

// unrecognized is the answer to a body that does not tell of what type it is.
func unrecognized(gvk schema.GroupVersionKind, err error, data []byte) error {
	return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", gvk.Kind, err, summary(data)))
}

// summaryLength is how much of a body is shown to its sender.
const summaryLength = 30 // bytes

func summary(data []byte) string {
	if len(data) == 0 {
		return "<empty>"
	}
	more := ""
	if len(data) > summaryLength {
		data, more = data[:summaryLength], " ..."
	}
	if data[0] == '{' {
		return string(data) + more
	}
	return hex.EncodeToString(data) + more
}

func unreadable(gvk schema.GroupVersionKind, err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", gvk.Kind, gvk.Version, gvk.Kind, err))
}

// DecodeProtobuf reads Kubernetes' protobuf envelope and the object in it.
func DecodeProtobuf(data []byte, into Message, gvk schema.GroupVersionKind) error {
	if len(data) == 0 {
		return unrecognized(gvk, errors.New("empty data"), data)
	}
	if !bytes.HasPrefix(data, protobufMagic) {
		return unrecognized(gvk, fmt.Errorf("provided data does not appear to be a protobuf message, expected prefix %v", protobufMagic), data)
	}
	if len(data) == len(protobufMagic) {
		return unrecognized(gvk, errors.New("empty body"), data)
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(data[len(protobufMagic):]); err != nil {
		return unrecognized(gvk, err, data)
	}
	if err := sameType(metav1.TypeMeta{APIVersion: envelope.APIVersion, Kind: envelope.Kind}, gvk); err != nil {
		return err
	}
	if err := into.Unmarshal(envelope.Raw); err != nil {
		return unreadable(gvk, err)
	}
	into.GetObjectKind().SetGroupVersionKind(gvk)
	return nil
}

// DecodeDeleteOptions reads JSON or the protobuf envelope. Clients name the
// options' type in several groups, and none of them is wrong.
func DecodeDeleteOptions(data []byte, into *metav1.DeleteOptions) error {
	if !bytes.HasPrefix(data, protobufMagic) {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(data, into); err != nil {
			return apierrors.NewBadRequest(fmt.Sprintf("couldn't read DeleteOptions: %v", err))
		}
	} else {
		var envelope runtime.Unknown
		err := envelope.Unmarshal(data[len(protobufMagic):])
		if err == nil {
			err = into.Unmarshal(envelope.Raw)
		}
		if err != nil {
			return apierrors.NewBadRequest(fmt.Sprintf("couldn't read DeleteOptions: %v", err))
		}
		into.Kind = envelope.Kind
	}
	if into.Kind != "" && into.Kind != "DeleteOptions" {
		return apierrors.NewBadRequest(fmt.Sprintf("%s cannot be handled as a DeleteOptions", into.Kind))
	}
	return nil
}
