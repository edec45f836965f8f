{{/* What an environment variable holds: strings as they are, everything else as JSON, in which 2000000 is not 2e+06. */}}
{{- define "forefill.envValue" -}}
{{- if kindIs "string" . -}}{{- . -}}{{- else -}}{{- toRawJson . -}}{{- end -}}
{{- end -}}

{{/* Addresses of the engine, as JSON. */}}
{{- define "forefill.engineUrls" -}}
{{- $name := include "forefill.fullname" . -}}
{{- if .Values.router.enabled -}}
{{- list (printf "http://%s-router.%s.svc:30000" $name .Release.Namespace) | toRawJson -}}
{{- else if .Values.vllm.enabled -}}
{{- include "forefill.vllmUrls" . -}}
{{- else -}}
{{- toRawJson .Values.engine.urls -}}
{{- end -}}
{{- end -}}

{{/* The vLLM servers of this chart by their stable names, as JSON. */}}
{{- define "forefill.vllmUrls" -}}
{{- $name := printf "%s-vllm" (include "forefill.fullname" .) -}}
{{- $urls := list -}}
{{- range $ordinal := until (int .Values.vllm.replicas) -}}
{{- $urls = append $urls (printf "http://%s-%d.%s.%s.svc:8000" $name $ordinal $name $.Release.Namespace) -}}
{{- end -}}
{{- toRawJson $urls -}}
{{- end -}}

{{/* The settings that the chart makes of its own values, by flag, as YAML. */}}
{{- define "forefill.chartSettings" -}}
{{- $access := .Values.access -}}
host: 0.0.0.0
port: 50051
health_host: 0.0.0.0
health_port: 9465
metrics_port: 9464
engine: {{ .Values.engine.kind }}
{{- with .Values.engine.model }}
model: {{ . | quote }}
{{- end }}
go_away_seconds: {{ int .Values.drain.goAwaySeconds }}
stop_grace_seconds: {{ int .Values.drain.stopGraceSeconds }}
{{- if eq .Values.engine.kind "remote" }}
engine_url: {{ include "forefill.engineUrls" . }}
engine_wait_seconds: {{ int .Values.probes.startupSeconds }}
{{- if .Values.router.enabled }}
router: true
router_workers: {{ ternary .Values.vllm.keda.minReplicas .Values.vllm.replicas .Values.vllm.keda.enabled | int }}
{{- else if .Values.engine.router.enabled }}
router: true
router_workers: {{ int .Values.engine.router.workers }}
{{- end }}
{{- if and .Values.vllm.enabled (not .Values.router.enabled) (gt (int .Values.vllm.dataParallelSize) 1) }}
data_parallel_size: {{ int .Values.vllm.dataParallelSize }}
{{- end }}
{{- end }}
{{- if and (eq .Values.engine.kind "embedded") (eq .Values.engine.device "gpu") (gt (int .Values.engine.gpus) 1) }}
engine_args: {tensor_parallel_size: {{ int .Values.engine.gpus }}}
{{- end }}
{{- if $access.insecure }}
insecure: true
{{- end }}
{{- if include "forefill.tlsSecretName" . }}
tls_cert: /etc/forefill/tls/tls.crt
tls_key: /etc/forefill/tls/tls.key
{{- if $access.tls.clientCa }}
tls_client_ca: /etc/forefill/tls/ca.crt
{{- end }}
{{- end }}
{{- if $access.callers.secretName }}
callers: {{ printf "/etc/forefill/callers/%s" $access.callers.key | quote }}
{{- end }}
{{- if $access.jwt.keys }}
jwt_keys: {{ $access.jwt.keys | quote }}
jwt_issuer: {{ $access.jwt.issuer | quote }}
jwt_audience: {{ $access.jwt.audience | quote }}
{{- with $access.jwt.tenantClaim }}
jwt_tenant_claim: {{ . | quote }}
{{- end }}
{{- with $access.jwt.scopePrefix }}
jwt_scope_prefix: {{ . | quote }}
{{- end }}
{{- end }}
{{- with $access.tenantMetadataKey }}
tenant_metadata_key: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* All settings by flag, as YAML. Empty ones are left out: FOREFILL_CALLERS= would be the directory ".". */}}
{{- define "forefill.settings" -}}
{{- $settings := include "forefill.chartSettings" . | fromYaml -}}
{{- if hasKey $settings "Error" -}}{{- fail $settings.Error -}}{{- end -}}
{{- $arguments := merge (dict) (default (dict) .Values.settings.engine_args) (default (dict) $settings.engine_args) -}}
{{- if $arguments -}}{{- $_ := set $settings "engine_args" $arguments -}}{{- end -}}
{{- range $flag, $value := omit .Values.settings "engine_args" -}}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) -}}{{- $_ := set $settings $flag $value -}}{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- define "forefill.environment" -}}
{{- range $flag, $value := include "forefill.settings" . | fromYaml -}}
FOREFILL_{{ upper $flag }}: {{ include "forefill.envValue" $value | quote }}
{{ end -}}
{{- end -}}
