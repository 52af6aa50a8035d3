{{/* The labels of everything that the chart installs. */}}
{{- define "entente.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "entente.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The labels by which the operator's Pod is selected; they can never change. */}}
{{- define "entente.selector" -}}
app.kubernetes.io/name: entente
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The user as which the operator speaks to the API server. */}}
{{- define "entente.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:entente
{{- end }}

{{/* A CEL list of the users that may write what the operator writes. */}}
{{- define "entente.writers" -}}
{{- $users := prepend .Values.admissionPolicy.alsoAllowUsers (include "entente.user" .) -}}
{{- range $users }}{{ if contains "'" . }}{{ fail "admissionPolicy.alsoAllowUsers: a user name cannot contain a quote" }}{{ end }}{{ end -}}
['{{ join "', '" $users }}']
{{- end }}
