{{/*
Refuses a release of which an operator would serve a namespace that another one serves: the admission
policies of each would refuse the writes of the other, so that no contract goes on there. Another one
is known by the subject of its bindings, whoever made them, and only while Helm is connected.
*/}}
{{- define "entente.alone" -}}
{{- $here := .Release.Namespace -}}
{{- $allowed := "One release may serve the whole cluster, or each one namespaces of its own (watchNamespaces) that no other one names" -}}
{{- if .Values.watchNamespaces -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "entente-operator" | list) -}}
{{- $other := include "entente.bound" . -}}
{{- if and $other (ne $other $here) -}}
{{- fail (printf "watchNamespaces: %s serves the whole cluster, and so these namespaces too. %s: set watchNamespaces in that one first, or uninstall it" (include "entente.installation" .) $allowed) -}}
{{- end -}}
{{- end -}}
{{- range $namespace := .Values.watchNamespaces -}}
{{- $binding := lookup "rbac.authorization.k8s.io/v1" "RoleBinding" $namespace "entente-tenant" -}}
{{- $other := include "entente.bound" $binding -}}
{{- if and $other (ne $other $here) -}}
{{- fail (printf "watchNamespaces: %s serves the namespace %s already. %s: take it out of one of them" (include "entente.installation" $binding) $namespace $allowed) -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "").items -}}
{{- if or (eq .metadata.name "entente-operator") (hasPrefix "entente-operator:" .metadata.name) -}}
{{- $other := include "entente.bound" . -}}
{{- if and $other (ne $other $here) -}}
{{- $whole := eq .metadata.name "entente-operator" -}}
{{- $serves := ternary "the whole cluster as well" "namespaces of its own" $whole -}}
{{- $advice := ternary "uninstall that one first, or set watchNamespaces in both, first in that one" "set watchNamespaces here too, or uninstall that one first" $whole -}}
{{- fail (printf "watchNamespaces is empty, so this release would serve the whole cluster, but %s serves %s. %s: %s" (include "entente.installation" .) $serves $allowed $advice) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The namespace of the operator to which a binding gives its rights; nothing if it gives none. */}}
{{- define "entente.bound" -}}
{{- range .subjects -}}
{{- if and (eq .kind "ServiceAccount") (eq .name "entente") -}}{{ .namespace }}{{- end -}}
{{- end -}}
{{- end }}

{{/* The installation to which a binding belongs, in words: a release of Helm, or what kubectl applied. */}}
{{- define "entente.installation" -}}
{{- $release := index (.metadata.annotations | default dict) "meta.helm.sh/release-name" -}}
{{- if $release -}}
the release {{ $release }} in the namespace {{ include "entente.bound" . }}
{{- else -}}
the installation in the namespace {{ include "entente.bound" . }} ({{ .kind }} {{ .metadata.name }})
{{- end -}}
{{- end }}
