{{/* The rights of the operator on what is in no namespace. */}}
{{- define "entente.clusterRules" -}}
- apiGroups: [entente.dev]
  resources: [connections, devicemodels, smartservices, messagetexts]
  verbs: [get, list, watch]
- apiGroups: [entente.dev]
  resources: [connections/status, devicemodels/status, smartservices/status, messagetexts/status]
  verbs: [update, patch]
# Finalizers of what is in use. Users' specs are never written.
- apiGroups: [entente.dev]
  resources: [connections, devicemodels, smartservices]
  verbs: [patch]
# Connections allow namespaces by their labels.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
# Whether it has all these rights is checked at start.
- apiGroups: [authorization.k8s.io]
  resources: [selfsubjectaccessreviews]
  verbs: [create]
# Whether the definitions are installed is checked at start.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get]
{{- end }}

{{/* The rights of the operator in each namespace that it serves. */}}
{{- define "entente.namespacedRules" -}}
- apiGroups: [entente.dev]
  resources:
    - sites
    - devices
    - deviceenrollments
    - contracts
    - contractamendments
    - contractnotices
    - servicesubscriptions
    - compensations
    - supplyorders
    - devicetwins
  verbs: [get, list, watch]
- apiGroups: [entente.dev]
  resources:
    - sites/status
    - devices/status
    - deviceenrollments/status
    - contracts/status
    - contractamendments/status
    - contractnotices/status
    - servicesubscriptions/status
    - compensations/status
    - supplyorders/status
  verbs: [update, patch]
# Finalizers of what is withdrawn. Users' specs are never written.
- apiGroups: [entente.dev]
  resources: [contracts]
  verbs: [patch]
# A subscription blocks the deletion of its contract; some clusters ask for a right to that.
- apiGroups: [entente.dev]
  resources: [contracts/finalizers]
  verbs: [update]
# What the operator owns.
- apiGroups: [entente.dev]
  resources: [servicesubscriptions]
  verbs: [create, patch, delete]
- apiGroups: [entente.dev]
  resources: [devicetwins]
  verbs: [create, patch, delete]
# A record is made once and never changed.
- apiGroups: [entente.dev]
  resources: [compensations, supplyorders]
  verbs: [create]
{{ include "entente.announcing" . }}
{{- end }}

{{/* The right to publish Kubernetes events. */}}
{{- define "entente.announcing" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What the operator makes in a namespace when an event asks for it. */}}
{{- define "entente.eventsRules" -}}
- apiGroups: [entente.dev]
  resources: [contracts, contractamendments, contractnotices]
  verbs: [create]
{{- end }}

{{/* The rights of the gateway in each namespace that it serves. */}}
{{- define "entente.gatewayRules" -}}
- apiGroups: [entente.dev]
  resources: [sites, devices, servicesubscriptions, deviceenrollments, devicetwins]
  verbs: [get, list, watch]
# The twin of a device that waits for its Device, and what a device says.
- apiGroups: [entente.dev]
  resources: [devicetwins]
  verbs: [create]
- apiGroups: [entente.dev]
  resources: [devicetwins/status]
  verbs: [update]
{{- if (.Values.gateway).createDevices }}
# Once, from the template of an enrolment; never changed afterwards.
- apiGroups: [entente.dev]
  resources: [devices]
  verbs: [create]
{{- end }}
{{- end }}
