package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
)

// healthScripts run the scripts of an argocd-cm in Argo CD's own Lua, with the libraries and the
// second that it gives them (util/lua/lua.go of argo-cd v3.5.1).
type healthScripts map[string]string

func readHealth(path string) (health.HealthOverride, error) {
	if path == "" {
		return healthScripts{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var settings corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return healthScripts(settings.Data), nil
}

// GetResourceHealth returns nil for a kind without script, as Argo CD does.
func (scripts healthScripts) GetResourceHealth(object *unstructured.Unstructured) (*health.HealthStatus, error) {
	kind := object.GroupVersionKind()
	script, found := scripts[fmt.Sprintf("resource.customizations.health.%s_%s", kind.Group, kind.Kind)]
	if !found {
		return nil, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for library, function := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(function), Protect: true}
		if err := state.CallByParam(call, lua.LString(library)); err != nil {
			return nil, err
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limited)
	state.SetGlobal("obj", luajson.DecodeValue(state, object.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	answer, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return nil, err
	}
	var judged health.HealthStatus
	if err := json.Unmarshal(answer, &judged); err != nil {
		return nil, fmt.Errorf("the script returned %s: %w", answer, err)
	}
	return &judged, nil
}
