// Command kstatus tells what Helm, Flux and every other client of the kstatus library conclude
// from an object: it reads objects as a JSON array, a List or a stream of JSON values from
// standard input and prints one JSON line for each. It decides nothing itself and never talks to
// a cluster. End-to-end tests call it with what they read back from the API server.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// conclusion is one line of output.
type conclusion struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Status is InProgress, Failed, Current, Terminating, NotFound or Unknown.
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(input io.Reader, output io.Writer) error {
	decoder, encoder := json.NewDecoder(input), json.NewEncoder(output)
	count := 0
	for {
		var value json.RawMessage
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		objects, err := objectsOf(value)
		if err != nil {
			return err
		}
		for _, object := range objects {
			concluded, err := conclude(object)
			if err != nil {
				return err
			}
			if err := encoder.Encode(concluded); err != nil {
				return err
			}
			count++
		}
	}
	if count == 0 {
		return errors.New("no object on standard input")
	}
	return nil
}

// objectsOf are the objects in one JSON value: itself, or those in an array or a List.
func objectsOf(value json.RawMessage) ([]map[string]any, error) {
	if value[0] == '[' {
		var objects []map[string]any
		err := json.Unmarshal(value, &objects)
		return objects, err
	}
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, err
	}
	if list.Items != nil {
		return list.Items, nil
	}
	var object map[string]any
	err := json.Unmarshal(value, &object)
	return []map[string]any{object}, err
}

func conclude(content map[string]any) (conclusion, error) {
	// Numbers must be int64 as in a client's cache, or observedGeneration is not seen.
	encoded, err := json.Marshal(content)
	if err != nil {
		return conclusion{}, err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(encoded); err != nil {
		return conclusion{}, err
	}
	result, err := status.Compute(object)
	if err != nil {
		return conclusion{}, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return conclusion{
		Kind:      object.GetKind(),
		Namespace: object.GetNamespace(),
		Name:      object.GetName(),
		Status:    result.Status.String(),
		Message:   result.Message,
	}, nil
}
