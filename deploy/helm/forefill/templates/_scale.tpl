{{/* Grow at once; shrink by one pod, and not before the last one has drained: (list SECONDS GRACE) */}}
{{- define "forefill.scaleBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - type: Percent
      value: 100
      periodSeconds: 60
    - type: Pods
      value: 2
      periodSeconds: 60
scaleDown:
  stabilizationWindowSeconds: {{ int (index . 0) }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: {{ max 60 (int (index . 1)) }}
{{- end -}}

{{/* How long a copy may take to stop. */}}
{{- define "forefill.graceSeconds" -}}
{{- add .Values.drain.preStopSeconds .Values.drain.goAwaySeconds .Values.drain.stopGraceSeconds 15 -}}
{{- end -}}
