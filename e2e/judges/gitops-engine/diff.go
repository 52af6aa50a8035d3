package main

import (
	"encoding/json"
	"slices"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
)

// difference is the verdict of one way of comparing on one object.
type difference struct {
	name
	// Way is three-way (Argo CD's own way unless told otherwise), structured-merge (that of an
	// object with ServerSideApply=true) or server-side (that of ServerSideDiff=true).
	Way string `json:"way"`
	// Differs is true where Argo CD shows the object as OutOfSync, or cannot compare it.
	Differs bool `json:"differs"`
	// Patch is the merge patch from the live object to the one that a sync would make.
	Patch json.RawMessage `json:"patch,omitempty"`
	// Fault is why it cannot be compared, which Argo CD shows as an error of the application.
	Fault string `json:"fault,omitempty"`
}

// differences compares each object in each way; one without manifest differs by being there.
func (it *application) differences() ([]difference, error) {
	compared, err := it.compare()
	if err != nil {
		return nil, err
	}
	applier, cleanup, err := it.kubectl.ManageServerSideDiffDryRuns(it.config)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	common := []diff.Option{
		diff.WithLogr(it.log), diff.WithManager(manager), diff.WithGVKParser(it.cache.GetGVKParser()),
	}
	ways := []struct {
		name    string
		options []diff.Option
	}{
		{"three-way", nil},
		{"structured-merge", []diff.Option{diff.WithStructuredMergeDiff(true)}},
		{"server-side", []diff.Option{
			diff.WithServerSideDiff(true),
			diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier)),
		}},
	}
	found := []difference{}
	for index, target := range compared.Target {
		live := compared.Live[index]
		for _, way := range ways {
			judged, err := judge(way.name, target, live, slices.Concat(common, way.options))
			if err != nil {
				return nil, err
			}
			found = append(found, judged)
		}
	}
	return found, nil
}

func judge(way string, target, live *unstructured.Unstructured, options []diff.Option) (difference, error) {
	if target == nil {
		return difference{name: named(kube.GetResourceKey(live)), Way: way, Differs: true}, nil
	}
	judged := difference{name: named(kube.GetResourceKey(target)), Way: way}
	compared, err := diff.Diff(target, live, options...)
	if err != nil {
		judged.Differs, judged.Fault = true, err.Error()
		return judged, nil
	}
	judged.Differs = compared.Modified
	if compared.Modified && live != nil {
		judged.Patch, err = jsonpatch.CreateMergePatch(compared.NormalizedLive, compared.PredictedLive)
	}
	return judged, err
}
