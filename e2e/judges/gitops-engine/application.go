package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
)

// trackingAnnotation is how Argo CD 3 marks the objects of an application unless told otherwise.
const trackingAnnotation = "argocd.argoproj.io/tracking-id"

// manager is the field manager of Argo CD.
const manager = "argocd-controller"

// application is a set of manifests beside the cluster that they are for.
type application struct {
	request
	config  *rest.Config
	log     logr.Logger
	kubectl *kube.KubectlCmd
	cache   cache.ClusterCache
	scripts scripts
	targets []*unstructured.Unstructured
}

// tracked is what the cache keeps of an object: the value of its tracking annotation.
type tracked struct{ id string }

// open lists and watches the cluster, and reads the manifests.
func open(config *rest.Config, asked request, of scripts, log logr.Logger) (*application, error) {
	it := &application{request: asked, config: config, log: log, kubectl: kubectl(log), scripts: of}
	it.cache = cache.NewClusterCache(config,
		cache.SetNamespaces([]string{asked.namespace}),
		cache.SetClusterResources(true),
		cache.SetKubectl(it.kubectl),
		cache.SetLogr(log),
		cache.SetSettings(cache.Settings{ResourceHealthOverride: of, ResourcesFilter: busyKinds{}}),
		cache.SetPopulateResourceInfoHandler(func(object *unstructured.Unstructured, _ bool) (any, bool) {
			id := object.GetAnnotations()[trackingAnnotation]
			return tracked{id}, id != ""
		}),
	)
	if err := it.cache.EnsureSynced(); err != nil {
		return nil, fmt.Errorf("listing the cluster: %w", err)
	}
	var err error
	it.targets, err = it.readManifests()
	return it, err
}

func (it *application) close() {
	it.cache.Invalidate()
}

// busyKinds are the kinds that Argo CD leaves out unless told otherwise: nobody keeps them in a repository.
type busyKinds struct{}

func (busyKinds) IsExcludedResource(group, kind, _ string) bool {
	return group == "events.k8s.io" || group == "coordination.k8s.io" || group == "discovery.k8s.io" ||
		(group == "" && (kind == "Event" || kind == "Endpoints"))
}

// readManifests reads each .yaml file below the directory and marks its objects as Argo CD does.
func (it *application) readManifests() ([]*unstructured.Unstructured, error) {
	var paths []string
	walk := func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".yaml" {
			paths = append(paths, path)
		}
		return err
	}
	if err := filepath.WalkDir(it.manifests, walk); err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var targets []*unstructured.Unstructured
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		objects, err := kube.SplitYAML(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		targets = append(targets, objects...)
	}
	for _, object := range targets {
		it.mark(object)
	}
	return targets, nil
}

// mark gives an object its namespace and the annotation by which it is found again.
func (it *application) mark(object *unstructured.Unstructured) {
	if !kube.IsNamespacedOrUnknown(it.cache, object.GroupVersionKind().GroupKind()) {
		object.SetNamespace("")
	} else if object.GetNamespace() == "" {
		object.SetNamespace(it.namespace)
	}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[trackingAnnotation] = it.trackingID(kube.GetResourceKey(object))
	object.SetAnnotations(annotations)
}

func (it *application) trackingID(key kube.ResourceKey) string {
	namespace := key.Namespace
	if namespace == "" {
		namespace = it.namespace
	}
	return fmt.Sprintf("%s:%s/%s:%s/%s", it.request.application, key.Group, key.Kind, namespace, key.Name)
}

// compare pairs each manifest with its live object, and each live object that has lost its manifest with nil.
func (it *application) compare() (sync.ReconciliationResult, error) {
	live, err := it.cache.GetManagedLiveObjs(it.targets, func(object *cache.Resource) bool {
		return object.Info.(tracked).id == it.trackingID(object.ResourceKey())
	})
	if err != nil {
		return sync.ReconciliationResult{}, err
	}
	return sync.Reconcile(it.targets, live, it.namespace, it.cache), nil
}
