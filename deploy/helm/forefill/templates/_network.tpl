{{/* Peer: the pods of a component: (list $ "vllm") */}}
{{- define "forefill.peer" -}}
- podSelector:
    matchLabels:
      {{- include "forefill.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* Egress rule: DNS. */}}
{{- define "forefill.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - protocol: UDP
      port: {{ . }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end -}}

{{/* Egress rule: TCP ports at any address: (list 443 8000) */}}
{{- define "forefill.portsEgress" -}}
- ports:
    {{- range . }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end -}}

{{/* The port of a URL. */}}
{{- define "forefill.portOf" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- default (ternary "443" "80" (eq $url.scheme "https")) $port -}}
{{- end -}}

{{/* The ports that forefill reaches outside the chart, as JSON: its engines, the model hub, keys of JWTs, traces. */}}
{{- define "forefill.outsidePorts" -}}
{{- $urls := list -}}
{{- if not .Values.networkPolicy.engineEgress -}}{{- $urls = .Values.engine.urls -}}{{- end -}}
{{- if hasPrefix "https://" .Values.access.jwt.keys -}}{{- $urls = append $urls .Values.access.jwt.keys -}}{{- end -}}
{{- with .Values.settings.otlp_endpoint -}}{{- $urls = append $urls . -}}{{- end -}}
{{- if .Values.networkPolicy.modelHubEgress -}}{{- $urls = append $urls "https://hub" -}}{{- end -}}
{{- $ports := list -}}
{{- range $urls -}}{{- $ports = append $ports (include "forefill.portOf" . | int) -}}{{- end -}}
{{- $ports | uniq | toRawJson -}}
{{- end -}}
