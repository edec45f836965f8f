{{/* vllm-router's flags: sessions stick to servers by X-Session-ID, dead servers are found soon, overload is not repeated. */}}
{{- define "forefill.routerArgs" -}}
- --host=0.0.0.0
- --port=30000
- --prometheus-host=0.0.0.0
- --prometheus-port=29000
- --policy=consistent_hash
- --health-check-interval-secs=5
- --health-failure-threshold=2
- --disable-retries
- --worker-startup-timeout-secs={{ int .Values.vllm.startupSeconds }}
{{- if .Values.router.discovery }}
- --service-discovery
- --service-discovery-port=8000
- --service-discovery-namespace={{ .Release.Namespace }}
- --selector
- app.kubernetes.io/name={{ include "forefill.name" . }}
- app.kubernetes.io/instance={{ .Release.Name }}
- app.kubernetes.io/component=vllm
{{- else }}
- --worker-urls
{{- range include "forefill.vllmUrls" . | fromJsonArray }}
- {{ . }}
{{- end }}
{{- end }}
{{- range .Values.router.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
