{{/*
Refuses values that the operator, or an object, could not be used with, and says in words what is
allowed, as a schema cannot. What they are is in values.schema.json; how they are written is here.
*/}}
{{- define "entente.checkedValues" -}}
{{- include "entente.duration" (dict "name" "operator.withdrawDeadline" "value" .Values.operator.withdrawDeadline) -}}
{{- with .Values.operator.accrualInterval -}}
{{- include "entente.duration" (dict "name" "operator.accrualInterval" "value" .) -}}
{{- end -}}
{{- with .Values.operator.leaseDuration -}}
{{- if not (regexMatch "^(([3-9]|[1-9][0-9]|[1-5][0-9]{2}|600)s|([1-9]|10)m)$" .) -}}
{{- fail (printf "operator.leaseDuration is %q: must be whole seconds from 3s to 600s, or whole minutes from 1m to 10m; empty for the operator's default" .) -}}
{{- end -}}
{{- end -}}
{{- $level := "(trace|debug|info|warn|error|off)" -}}
{{- $directive := printf "(([A-Za-z0-9_:-]+|[A-Za-z0-9_:-]*\\[[a-z_]+\\])=)?%s" $level -}}
{{- if not (regexMatch (printf "^%s(,%s)*$" $directive $directive) .Values.log.level) -}}
{{- fail (printf "log.level is %q: must be off, error, warn, info, debug or trace, or several with a comma between them, each with what it is for, such as info,kube=warn" .Values.log.level) -}}
{{- end -}}
{{- with (.Values.tracing).endpoint -}}
{{- $host := "([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:]+\\])" -}}
{{- $port := "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?" -}}
{{- if not (regexMatch (printf "^https?://%s%s(/[^?# \"]*)?$" $host $port) .) -}}
{{- fail (printf "tracing.endpoint is %q: must be a URL that begins with http:// or https://, without a query, such as http://collector.observability:4318; empty for no traces" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.selector -}}
{{- $name := "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?" -}}
{{- $key := printf "([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?%s" $name -}}
{{- $values := printf "\\(\\s*(%s)?\\s*(,\\s*(%s)?\\s*)*\\)" $name $name -}}
{{- $one := printf "\\s*(!\\s*%s|%s(\\s*(=|==|!=)\\s*(%s)?|\\s*[<>]\\s*[0-9]{1,18}|\\s+(in|notin)\\s*%s)?)\\s*" $key $key $name $values -}}
{{- if not (regexMatch (printf "^%s(,%s)*$" $one $one) .) -}}
{{- fail (printf "selector is %q: must be a label selector such as entente.example/desk=north, tier in (gold,silver) or !test, with a comma between several; empty for all" .) -}}
{{- end -}}
{{- end -}}
{{- $service := (.Values.gateway).service | default dict -}}
{{- if and $service.externalTrafficPolicy (eq (toString $service.type) "ClusterIP") -}}
{{- fail (printf "gateway.service.externalTrafficPolicy is %q and gateway.service.type is ClusterIP: must be empty, or the type LoadBalancer or NodePort" $service.externalTrafficPolicy) -}}
{{- end -}}
{{- $monitoring := .Values.metrics | default dict -}}
{{- include "entente.checkedLabels" (dict "name" "commonLabels" "labels" .Values.commonLabels) -}}
{{- include "entente.checkedLabels" (dict "name" "podLabels" "labels" .Values.podLabels) -}}
{{- range $part := list "serviceMonitor" "prometheusRule" "dashboard" -}}
{{- $given := get ((get $monitoring $part) | default dict) "labels" | default dict -}}
{{- include "entente.checkedLabels" (dict "name" (printf "metrics.%s.labels" $part) "labels" $given) -}}
{{- end -}}
{{- end }}

{{/* Refuses what is no duration above zero. Arguments: name, value. */}}
{{- define "entente.duration" -}}
{{- if not (and (regexMatch "^([0-9]{1,6}(ms|s|m|h))+$" .value) (regexMatch "[1-9]" .value)) -}}
{{- fail (printf "%s is %q: must be a duration above zero such as 90s, 15m or 336h: whole numbers of at most 6 digits, each with its unit (ms, s, m or h)" .name .value) -}}
{{- end -}}
{{- end }}

{{/* Refuses labels that are no labels, or that only the chart may set. Arguments: name, labels. */}}
{{- define "entente.checkedLabels" -}}
{{- $path := .name -}}
{{- $own := list "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "app.kubernetes.io/name" "app.kubernetes.io/version" "helm.sh/chart" -}}
{{- $name := "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?" -}}
{{- range $key, $value := .labels -}}
{{- if has $key $own -}}
{{- fail (printf "%s has %s: the chart sets this label itself, since selectors need it; take it out" $path $key) -}}
{{- end -}}
{{- if not (regexMatch (printf "^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?%s$" $name) $key) -}}
{{- fail (printf "%s has %q: must be the name of a label, such as team or entente.example/team" $path $key) -}}
{{- end -}}
{{- if not (regexMatch (printf "^(%s)?$" $name) $value) -}}
{{- fail (printf "%s.%s is %q: must be at most 63 letters, digits, hyphens, underscores and dots, with a letter or digit at both ends" $path $key $value) -}}
{{- end -}}
{{- end -}}
{{- end }}
