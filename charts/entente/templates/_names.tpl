{{/* The labels of everything that the chart installs. */}}
{{- define "entente.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "entente.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
The labels by which the operator's Pods are selected. They can never change: what selects Pods is
immutable, so commonLabels and podLabels are not in it.
*/}}
{{- define "entente.selector" -}}
app.kubernetes.io/name: entente
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of everything of the gateway. No selector of the operator matches its Pods. */}}
{{- define "entente.gatewayLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "entente.gatewaySelector" . }}
app.kubernetes.io/part-of: entente
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels by which the Pods of the gateway are selected; as those of the operator, for ever. */}}
{{- define "entente.gatewaySelector" -}}
app.kubernetes.io/name: entente-gateway
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/*
The name of an object that is in no namespace. A release for the whole cluster has fixed names, so
that Helm refuses a second one; one for named namespaces has its own namespace in them, of which
there is one for each release. No fixed name has a colon. Arguments: context, name.
*/}}
{{- define "entente.clusterName" -}}
{{ .name }}{{ if .context.Values.watchNamespaces }}:{{ .context.Release.Namespace }}{{ end }}
{{- end }}

{{/* The same for an admission policy and a FlowSchema, whose names are those of domains. */}}
{{- define "entente.policyName" -}}
{{ .name }}{{ if .context.Values.watchNamespaces }}.{{ .context.Release.Namespace }}{{ end }}.entente.dev
{{- end }}

{{/*
Those of some namespaces that are there, as a list in JSON: a missing one must not make a release
fail. Who renders without a cluster, as tools of GitOps do, gets all of them, every time the same.
Arguments: context, namespaces.
*/}}
{{- define "entente.present" -}}
{{- $context := .context -}}
{{- $connected := lookup "v1" "Namespace" "" "kube-system" -}}
{{- $present := list -}}
{{- range .namespaces -}}
{{- if or (not $connected) (eq . $context.Release.Namespace) (lookup "v1" "Namespace" "" .) -}}
{{- $present = append $present . -}}
{{- end -}}
{{- end -}}
{{- toJson $present -}}
{{- end }}

{{/* The user as which the operator speaks to the API server. */}}
{{- define "entente.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:entente
{{- end }}

{{/* The user as which the gateway speaks to the API server. */}}
{{- define "entente.gatewayUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:entente-gateway
{{- end }}

{{/* A CEL list of the users that may write what the operator writes. */}}
{{- define "entente.writers" -}}
{{- $users := prepend .Values.admissionPolicy.alsoAllowUsers (include "entente.user" .) -}}
{{- range $users }}{{ if contains "'" . }}{{ fail "admissionPolicy.alsoAllowUsers: a user name cannot contain a quote" }}{{ end }}{{ end -}}
['{{ join "', '" $users }}']
{{- end }}

{{/*
What the Pod and its container run as where the values say nothing, as after an upgrade with
--reuse-values from a chart that did not have these values. values.yaml says the same.
*/}}
{{- define "entente.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- define "entente.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The image of the operator: by its digest where there is one, else by its tag. */}}
{{- define "entente.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion }}
{{- $version := ternary (printf "@%s" .Values.image.digest) (printf ":%s" $tag) (ne .Values.image.digest "") }}
{{- printf "%s%s" .Values.image.repository $version }}
{{- end }}
