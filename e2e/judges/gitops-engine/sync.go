package main

import (
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
)

// synced is the answer of a sync.
type synced struct {
	// Phase is Succeeded, Failed or Error; or Running if the time was over.
	Phase   common.OperationPhase `json:"phase"`
	Message string                `json:"message"`
	// Results are in the order in which the engine came to them.
	Results []result `json:"results"`
	// Health is that of each object of the manifests after the sync.
	Health []healthOf `json:"health"`
}

type name struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// result is what the engine did with one object.
type result struct {
	name
	// Status is Synced, SyncFailed, Pruned or PruneSkipped.
	Status common.ResultCode `json:"status"`
	// Phase is Running until the object is healthy, where a later wave waits for it.
	Phase   common.OperationPhase `json:"phase"`
	Message string                `json:"message"`
}

type healthOf struct {
	name
	// Status is that of Argo CD, or empty for a kind that it knows no health of.
	Status  health.HealthStatusCode `json:"status"`
	Message string                  `json:"message"`
}

func named(key kube.ResourceKey) name {
	return name{Kind: key.Kind, Namespace: key.Namespace, Name: key.Name}
}

// sync lets the engine do one step after the other, as the application controller does: each on
// what the cluster is like by then, with the results so far.
func (it *application) sync() (synced, error) {
	begun := time.Now()
	phase, message := common.OperationRunning, ""
	var results []common.ResourceSyncResult
	for !phase.Completed() && time.Since(begun) < it.timeout {
		compared, err := it.compare()
		if err != nil {
			return synced{}, err
		}
		options := append(it.options(), sync.WithInitialState(phase, message, results, metav1.NewTime(begun)))
		step, cleanup, err := sync.NewSyncContext("", compared, it.config, it.config, it.kubectl, it.namespace, options...)
		if err != nil {
			return synced{}, err
		}
		step.Sync()
		phase, message, results = step.GetState()
		cleanup()
		if !phase.Completed() {
			time.Sleep(500 * time.Millisecond)
		}
	}
	answer := synced{Phase: phase, Message: message, Results: []result{}, Health: []healthOf{}}
	slices.SortFunc(results, func(a, b common.ResourceSyncResult) int { return a.Order - b.Order })
	for _, one := range results {
		answer.Results = append(answer.Results, result{
			name: named(one.ResourceKey), Status: one.Status, Phase: one.HookPhase,
			Message: strings.TrimSpace(one.Message),
		})
	}
	for _, target := range it.targets {
		judged, err := it.healthOf(target)
		if err != nil {
			return synced{}, err
		}
		answer.Health = append(answer.Health, judged)
	}
	return answer, nil
}

// options are those that the application controller gives, as far as they differ from the engine's own.
func (it *application) options() []sync.SyncOpt {
	foreground := metav1.DeletePropagationForeground
	return []sync.SyncOpt{
		sync.WithLogr(it.log),
		sync.WithHealthOverride(it.scripts),
		sync.WithPrune(true),
		sync.WithPrunePropagationPolicy(&foreground),
		sync.WithServerSideApply(it.serverSideApply),
		sync.WithServerSideApplyManager(manager),
	}
}

func (it *application) healthOf(target *unstructured.Unstructured) (healthOf, error) {
	judged := healthOf{name: named(kube.GetResourceKey(target))}
	live, err := it.kubectl.GetResource(context.Background(), it.config, target.GroupVersionKind(), target.GetName(), target.GetNamespace())
	if err != nil {
		judged.Status, judged.Message = health.HealthStatusMissing, err.Error()
		return judged, nil
	}
	found, err := health.GetResourceHealth(live, it.scripts)
	if found != nil {
		judged.Status, judged.Message = found.Status, found.Message
	}
	return judged, err
}
