{{- define "forefill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters leave room for the longest suffix and for what Kubernetes adds to names of pods. */}}
{{- define "forefill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "forefill.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "forefill.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: (list $ "vllm") */}}
{{- define "forefill.selectorLabels" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ include "forefill.name" $top }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "forefill.labels" -}}
{{- $top := index . 0 -}}
{{ include "forefill.selectorLabels" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $top.Release.Service }}
app.kubernetes.io/part-of: forefill
helm.sh/chart: {{ printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Labels of pods: without the version of the chart, since a new chart alone is no reason to restart them. */}}
{{- define "forefill.podLabels" -}}
{{- $top := index . 0 -}}
{{ include "forefill.selectorLabels" . }}
app.kubernetes.io/version: {{ $top.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: forefill
{{- end -}}

{{/* The image of a component: (list IMAGE "default/repository" "default-tag") */}}
{{- define "forefill.image" -}}
{{- $image := index . 0 -}}
{{- $repository := default (index . 1) $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (index . 2) $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "forefill.serviceImage" -}}
{{- $flavour := "" -}}
{{- if eq .Values.engine.kind "embedded" -}}{{- $flavour = printf "-%s" .Values.engine.device -}}{{- end -}}
{{- include "forefill.image" (list .Values.image "" (print .Chart.AppVersion $flavour)) -}}
{{- end -}}

{{- define "forefill.vllmImage" -}}
{{- if eq .Values.vllm.device "cpu" -}}
{{- include "forefill.image" (list .Values.vllm.image .Values.image.repository (print .Chart.AppVersion "-cpu")) -}}
{{- else -}}
{{- include "forefill.image" (list .Values.vllm.image "vllm/vllm-openai" "v0.32.0") -}}
{{- end -}}
{{- end -}}

{{- define "forefill.routerImage" -}}
{{- include "forefill.image" (list .Values.router.image .Values.image.repository (print .Chart.AppVersion "-router")) -}}
{{- end -}}

{{- define "forefill.serviceAccountName" -}}
{{- default (ternary (include "forefill.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "forefill.tlsSecretName" -}}
{{- if .Values.access.tls.secretName -}}
{{- .Values.access.tls.secretName -}}
{{- else if .Values.access.certManager.enabled -}}
{{- include "forefill.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* The claim of the model volume; empty if there is none. */}}
{{- define "forefill.modelClaim" -}}
{{- if .Values.modelCache.existingClaim -}}
{{- .Values.modelCache.existingClaim -}}
{{- else if .Values.modelCache.size -}}
{{- include "forefill.fullname" . }}-models
{{- end -}}
{{- end -}}
