{{/* Refuses values that cannot work together. Each message names the value and says what to do. */}}
{{- define "forefill.checks" -}}
{{- include "forefill.checkImage" . -}}
{{- include "forefill.checkEngine" . -}}
{{- include "forefill.checkAccess" . -}}
{{- include "forefill.checkScale" . -}}
{{- include "forefill.checkRoute" . -}}
{{- end -}}

{{- define "forefill.checkImage" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is missing: forefill publishes no images. Run `make images`, push them to a registry of your own, and set image.repository to it" -}}
{{- end -}}
{{- range $name, $image := dict "image" .Values.image "vllm.image" .Values.vllm.image "router.image" .Values.router.image -}}
{{- if and (eq $image.tag "latest") (not $image.digest) -}}
{{- fail (printf "%s.tag: latest is another image tomorrow: name a release, or %s.digest" $name $name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if and (hasPrefix "FOREFILL_" .name) (hasKey . "value") -}}
{{- fail (printf "extraEnv: set %s as settings.%s, where its name and value are checked" .name (.name | trimPrefix "FOREFILL_" | lower)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "forefill.checkEngine" -}}
{{- $engine := .Values.engine -}}
{{- if eq $engine.kind "remote" -}}
{{- if and .Values.vllm.enabled $engine.urls -}}
{{- fail "engine.urls and vllm.enabled exclude each other: leave engine.urls empty to use the vLLM servers of this chart, or set vllm.enabled to false" -}}
{{- end -}}
{{- if not (or .Values.vllm.enabled $engine.urls) -}}
{{- fail "engine.urls is missing: name the vLLM servers that already run, set vllm.enabled to have this chart run some, or set engine.kind to embedded or fake" -}}
{{- end -}}
{{- else -}}
{{- if .Values.vllm.enabled -}}
{{- fail (printf "vllm.enabled needs engine.kind remote, not %s" $engine.kind) -}}
{{- end -}}
{{- if $engine.urls -}}
{{- fail (printf "engine.urls needs engine.kind remote, not %s" $engine.kind) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $engine.kind "embedded") (not $engine.model) -}}
{{- fail "engine.model is missing: name the model on its hub, or its directory in a volume; images hold no model" -}}
{{- end -}}
{{- if and $engine.router.enabled (ne (len $engine.urls) 1) -}}
{{- fail "engine.router.enabled needs exactly one engine.urls: that of the router" -}}
{{- end -}}
{{- if and $engine.router.enabled (gt (int .Values.settings.data_parallel_size) 1) -}}
{{- fail "settings.data_parallel_size and engine.router.enabled exclude each other: behind a router, forefill cannot name the engine inside a server" -}}
{{- end -}}
{{- if and .Values.router.enabled (not .Values.vllm.enabled) -}}
{{- fail "router.enabled needs vllm.enabled; for a router that already runs, set engine.urls and engine.router.enabled" -}}
{{- end -}}
{{- if .Values.vllm.enabled -}}
{{- if not .Values.vllm.model -}}
{{- fail "vllm.model is missing: name the model on its hub, or its directory in the model volume" -}}
{{- end -}}
{{- if .Values.settings.data_parallel_size -}}
{{- fail "settings.data_parallel_size: set vllm.dataParallelSize, which both sides then know" -}}
{{- end -}}
{{- if and (gt (int .Values.vllm.dataParallelSize) 1) (or .Values.router.enabled (eq .Values.vllm.device "cpu")) -}}
{{- fail "vllm.dataParallelSize needs vllm.device gpu, and router.enabled false: behind a router, forefill cannot name the engine inside a server" -}}
{{- end -}}
{{- if and (eq .Values.vllm.device "cpu") (mod (int (default 32 .Values.vllm.blockSize)) 32) -}}
{{- fail "vllm.blockSize must be a multiple of 32 on a CPU" -}}
{{- end -}}
{{- if mod (int .Values.vllm.gpus) (int .Values.vllm.dataParallelSize) -}}
{{- fail "vllm.gpus must be a multiple of vllm.dataParallelSize: each engine gets the same number" -}}
{{- end -}}
{{- end -}}
{{- include "forefill.checkHandOff" . -}}
{{- end -}}

{{- define "forefill.checkHandOff" -}}
{{- $engine := .Values.engine -}}
{{- $servers := len (include "forefill.engineUrls" . | fromJsonArray) -}}
{{- with .Values.settings.hand_off_url -}}
{{- if and (eq $engine.kind "remote") (ne (len .) $servers) -}}
{{- fail (printf "settings.hand_off_url takes one address for each engine, in the same order: %d, not %d" $servers (len .)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.settings.adapters (ne $engine.kind "embedded") -}}
{{- fail "settings.adapters needs engine.kind embedded: start vLLM servers with --lora-modules (vllm.extraArgs)" -}}
{{- end -}}
{{- $port := int (default -1 .Values.settings.openai_port) -}}
{{- if has $port (list 50051 9464 9465) -}}
{{- fail (printf "settings.openai_port: %d is taken in the pod, by streams (50051), metrics (9464) or health (9465); 8001 is free" $port) -}}
{{- end -}}
{{- if and (hasKey .Values.settings "openai_port") (eq (toString .Values.settings.openai_port) "0") -}}
{{- fail "settings.openai_port: 0 would pick any port, which no Service could name; 8001 is free" -}}
{{- end -}}
{{- if gt $port 0 -}}
{{- if ne $engine.kind "embedded" -}}
{{- fail "settings.openai_port needs engine.kind embedded: vLLM servers have an OpenAI API of their own" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "forefill.checkAccess" -}}
{{- $access := .Values.access -}}
{{- $tls := include "forefill.tlsSecretName" . -}}
{{- if not $access.insecure -}}
{{- if not $tls -}}
{{- fail "access.tls.secretName is missing: name a Secret with tls.crt and tls.key, or set access.certManager.enabled; or set access.insecure if a mesh or a proxy protects the network" -}}
{{- end -}}
{{- if not (or $access.callers.secretName $access.jwt.keys $access.tls.clientCa) -}}
{{- fail "access asks for no credentials: set access.callers.secretName, access.jwt.keys or access.tls.clientCa; or set access.insecure if a mesh or a proxy protects the network" -}}
{{- end -}}
{{- end -}}
{{- if and $access.tls.clientCa (not $tls) -}}
{{- fail "access.tls.clientCa needs access.tls.secretName or access.certManager.enabled" -}}
{{- end -}}
{{- if and $access.certManager.enabled (not $access.certManager.issuerRef.name) -}}
{{- fail "access.certManager.issuerRef.name is missing: name the Issuer or ClusterIssuer" -}}
{{- end -}}
{{- if and $access.jwt.keys (not (and $access.jwt.issuer $access.jwt.audience)) -}}
{{- fail "access.jwt.keys needs access.jwt.issuer and access.jwt.audience" -}}
{{- end -}}
{{- if hasPrefix "http://" $access.jwt.keys -}}
{{- fail "access.jwt.keys takes an https:// address or a file: who changes the keys gets in" -}}
{{- end -}}
{{- if and $access.tenantMetadataKey (not (or $access.insecure $access.callers.secretName)) -}}
{{- fail "access.tenantMetadataKey believes a proxy: give it credentials and the permission name-tenant in access.callers, or set access.insecure if nobody else reaches forefill" -}}
{{- end -}}
{{- $tenants := or $access.tenantMetadataKey $access.callers.secretName (and $access.jwt.keys $access.jwt.tenantClaim) -}}
{{- if and $tenants (eq .Values.engine.kind "remote") (not $access.cacheSaltSecret.secretName) -}}
{{- fail "access.cacheSaltSecret.secretName is missing: callers may have tenants, and on remote engines their cache salts need a secret that nobody can guess. Make one with `openssl rand -hex 32`" -}}
{{- end -}}
{{- end -}}

{{- define "forefill.checkScale" -}}
{{- $scale := .Values.autoscaling -}}
{{- if and $scale.enabled $scale.keda.enabled -}}
{{- fail "autoscaling.enabled and autoscaling.keda.enabled exclude each other: two autoscalers would fight over one Deployment" -}}
{{- end -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and $scale.keda.enabled (not $scale.keda.prometheusAddress) -}}
{{- fail "autoscaling.keda.prometheusAddress is missing: KEDA asks Prometheus for open streams" -}}
{{- end -}}
{{- with .Values.vllm.keda -}}
{{- if .enabled -}}
{{- if not (and $.Values.router.enabled $.Values.router.discovery) -}}
{{- fail "vllm.keda.enabled needs router.enabled and router.discovery: otherwise servers are listed by name, and those that are scaled away count as down" -}}
{{- end -}}
{{- if not .prometheusAddress -}}
{{- fail "vllm.keda.prometheusAddress is missing: KEDA asks Prometheus for waiting requests and cache usage" -}}
{{- end -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "vllm.keda.minReplicas is more than vllm.keda.maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.rollingUpdate -}}
{{- if and (has (toString .maxSurge) (list "0" "0%")) (has (toString .maxUnavailable) (list "0" "0%")) -}}
{{- fail "rollingUpdate: maxSurge and maxUnavailable are both 0, so that no copy could ever be replaced" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.serviceMonitor.enabled -}}
{{- fail "metrics.podMonitor.enabled and metrics.serviceMonitor.enabled exclude each other: everything would be counted twice" -}}
{{- end -}}
{{- end -}}

{{- define "forefill.checkRoute" -}}
{{- $route := .Values.gatewayRoute -}}
{{- if and $route.enabled (not $route.parentRefs) -}}
{{- fail "gatewayRoute.parentRefs is missing: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if and $route.envoyGateway.enabled (not $route.enabled) -}}
{{- fail "gatewayRoute.envoyGateway.enabled needs gatewayRoute.enabled" -}}
{{- end -}}
{{- end -}}
