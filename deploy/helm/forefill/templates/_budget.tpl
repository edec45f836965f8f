{{/* (list $ "component" "name" VALUES) */}}
{{- define "forefill.budget" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 2 }}
  namespace: {{ (index . 0).Release.Namespace }}
  labels:
    {{- include "forefill.labels" (list (index . 0) (index . 1)) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 3).maxUnavailable }}
  # A copy that is not ready serves nobody, so it never keeps a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "forefill.selectorLabels" (list (index . 0) (index . 1)) | nindent 6 }}
{{- end }}
