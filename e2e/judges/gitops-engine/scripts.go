package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
)

// scripts are those of an argocd-cm, by their keys there.
type scripts map[string]string

func readScripts(path string) (scripts, error) {
	if path == "" {
		return scripts{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var settings corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return settings.Data, nil
}

// of returns the script, or the actions, of an object's kind.
func (it scripts) of(what string, object *unstructured.Unstructured) (string, bool) {
	kind := object.GroupVersionKind()
	text, found := it[fmt.Sprintf("resource.customizations.%s.%s_%s", what, kind.Group, kind.Kind)]
	return text, found
}

// GetResourceHealth returns nil for a kind without script, as Argo CD does.
func (it scripts) GetResourceHealth(object *unstructured.Unstructured) (*health.HealthStatus, error) {
	script, found := it.of("health", object)
	if !found {
		return nil, nil
	}
	var judged health.HealthStatus
	err := evaluate(script, object, &judged)
	return &judged, err
}

// healthOfEach reads a JSON array of objects, and returns the health that Argo CD shows of each.
func (it scripts) healthOfEach(input io.Reader) ([]health.HealthStatus, error) {
	var texts []json.RawMessage
	if err := json.NewDecoder(input).Decode(&texts); err != nil {
		return nil, err
	}
	judged := []health.HealthStatus{}
	for _, text := range texts {
		// As a client reads it: with integers, and not with the numbers of JSON.
		var object unstructured.Unstructured
		if err := object.UnmarshalJSON(text); err != nil {
			return nil, err
		}
		one, err := health.GetResourceHealth(&object, it)
		if err != nil {
			return nil, err
		}
		if one == nil {
			return nil, fmt.Errorf("the kind %s has no health", object.GetKind())
		}
		judged = append(judged, *one)
	}
	return judged, nil
}

// act reads an object, and returns what an action of its kind makes of it. Each action that is offered
// must have a definition, and each definition must be offered.
func (it scripts) act(action string, input io.Reader) (map[string]any, error) {
	var object unstructured.Unstructured
	if err := json.NewDecoder(input).Decode(&object); err != nil {
		return nil, err
	}
	text, found := it.of("actions", &object)
	if !found {
		return nil, fmt.Errorf("the kind %s has no actions", object.GetKind())
	}
	var actions struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name   string `json:"name"`
			Script string `json:"action.lua"`
		} `json:"definitions"`
	}
	if err := yaml.UnmarshalStrict([]byte(text), &actions); err != nil {
		return nil, err
	}
	var offered map[string]any
	if err := evaluate(actions.Discovery, &object, &offered); err != nil {
		return nil, err
	}
	wanted := ""
	for _, one := range actions.Definitions {
		if _, found := offered[one.Name]; !found {
			return nil, fmt.Errorf("the kind %s defines the action %q and does not offer it", object.GetKind(), one.Name)
		}
		if one.Name == action {
			wanted = one.Script
		}
	}
	if wanted == "" || len(offered) != len(actions.Definitions) {
		return nil, fmt.Errorf("the kind %s offers %v; defined are %d actions, asked for is %q",
			object.GetKind(), offered, len(actions.Definitions), action)
	}
	var changed map[string]any
	err := evaluate(wanted, &object, &changed)
	return changed, err
}

// evaluate runs a script about an object in Argo CD's own Lua, with the libraries and the second that it
// gives them (util/lua of argo-cd v3.5.1), and decodes what the script returns.
func evaluate(script string, object *unstructured.Unstructured, answer any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, openClock},
	} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return err
		}
	}
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limited)
	// By way of its JSON: the library makes nil of the integers that a client has read.
	text, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	given, err := luajson.Decode(state, text)
	if err != nil {
		return err
	}
	state.SetGlobal("obj", given)
	if err := state.DoString(script); err != nil {
		return err
	}
	returned, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(returned, answer); err != nil {
		return fmt.Errorf("the script returned %s: %w", returned, err)
	}
	return nil
}

// openClock opens the library os with what Argo CD leaves of it: the functions that tell the time.
func openClock(state *lua.LState) int {
	lua.OpenOs(state)
	functions := state.GetGlobal(lua.OsLibName).(*lua.LTable)
	var others []lua.LValue
	functions.ForEach(func(name, _ lua.LValue) {
		if name.String() != "date" && name.String() != "time" {
			others = append(others, name)
		}
	})
	for _, name := range others {
		functions.RawSet(name, lua.LNil)
	}
	return 0
}
