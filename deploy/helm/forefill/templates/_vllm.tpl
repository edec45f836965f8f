{{/* vLLM's flags, as deploy/vllm-servers.md recommends them. KV events stay off: they carry what users type. */}}
{{- define "forefill.vllmArgs" -}}
{{- $vllm := .Values.vllm -}}
{{- $cpu := eq $vllm.device "cpu" -}}
{{- $tensor := div (int $vllm.gpus) (int $vllm.dataParallelSize) -}}
- --host=0.0.0.0
- --port=8000
- {{ printf "--model=%s" $vllm.model | quote }}
{{- with $vllm.servedModelName }}
- {{ printf "--served-model-name=%s" . | quote }}
{{- end }}
- --enable-prefix-caching
- --enable-prompt-tokens-details
- --enable-scale-out
- --scheduling-policy=priority
- --disable-uvicorn-access-log
- --shutdown-timeout={{ int $vllm.shutdownSeconds }}
{{- if or $vllm.blockSize $cpu }}
- --block-size={{ int (default 32 $vllm.blockSize) }}
{{- end }}
{{- if or $vllm.cacheGib $cpu }}
- --kv-cache-memory-bytes={{ mul (int (default 4 $vllm.cacheGib)) 1073741824 }}
{{- end }}
{{- if $cpu }}
- --enforce-eager
- --max-num-batched-tokens=512
{{- else if gt (int $tensor) 1 }}
- --tensor-parallel-size={{ $tensor }}
{{- end }}
{{- if gt (int $vllm.dataParallelSize) 1 }}
- --data-parallel-size={{ int $vllm.dataParallelSize }}
{{- end }}
{{- range $vllm.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
