{{/* Pod security "restricted", for pods. */}}
{{- define "forefill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Pod security "restricted", for containers. */}}
{{- define "forefill.containerSecurity" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where programs write, with a read-only root. They look up the name of user 10001, which other images may lack. */}}
{{- define "forefill.homeEnv" -}}
- name: HOME
  value: /tmp
- name: USER
  value: forefill
- name: XDG_CACHE_HOME
  value: /tmp/.cache
{{- end -}}

{{/*
vLLM on a CPU: (list RESOURCES EXTRA_ENV). By itself it binds a thread to each core of the node, to the same ones as its
neighbours, whatever it may use of them. With a policy that gives pods cores of their own, set "auto" in extraEnv.
*/}}
{{- define "forefill.cpuEnv" -}}
{{- $given := list -}}
{{- range index . 1 -}}{{- $given = append $given .name -}}{{- end -}}
{{- $cpu := toString (default "" (get (default (dict) (index . 0).requests) "cpu")) -}}
{{- if and $cpu (not (or (has "VLLM_CPU_OMP_THREADS_BIND" $given) (has "OMP_NUM_THREADS" $given))) }}
- name: VLLM_CPU_OMP_THREADS_BIND
  value: nobind
- name: OMP_NUM_THREADS
  value: {{ ternary (divf (trimSuffix "m" $cpu) 1000) (float64 $cpu) (hasSuffix "m" $cpu) | ceil | int | quote }}
{{- end }}
{{- if not (has "TORCHDYNAMO_DISABLE" $given) }}
# Otherwise the first request for logprobs compiles for up to half a minute, in which nobody is answered.
- name: TORCHDYNAMO_DISABLE
  value: "1"
{{- end }}
{{- end -}}

{{/* The model hub, for pods that load a model or a tokenizer. */}}
{{- define "forefill.hubEnv" -}}
- name: HF_HOME
  value: /models/huggingface
- name: HF_HUB_DISABLE_TELEMETRY
  value: "1"
- name: DO_NOT_TRACK
  value: "1"
{{- if or .Values.modelCache.readOnly (and .Values.networkPolicy.enabled (not .Values.networkPolicy.modelHubEgress)) }}
- name: HF_HUB_OFFLINE
  value: "1"
{{- end }}
{{- with .Values.modelHub.tokenSecret }}
{{- if .secretName }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .secretName }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "forefill.modelVolumes" -}}
- name: models
{{- if include "forefill.modelClaim" . }}
  persistentVolumeClaim:
    claimName: {{ include "forefill.modelClaim" . }}
    {{- if .Values.modelCache.readOnly }}
    readOnly: true
    {{- end }}
{{- else }}
  emptyDir: {}
{{- end }}
- name: tmp
  emptyDir: {}
{{- end -}}

{{- define "forefill.shmVolume" -}}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.shm.size }}
{{- end -}}

{{/* Constraints that spread pods: (list $ "component" "label of the revision") */}}
{{- define "forefill.topologySpread" -}}
{{- $top := index . 0 -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "forefill.selectorLabels" (list $top (index $ 1)) | nindent 6 }}
  matchLabelKeys: [{{ index $ 2 }}]
{{ end -}}
{{- end -}}

{{/* Where the pods of a component with these values run. */}}
{{- define "forefill.placement" -}}
{{- $placement := dict -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" -}}
{{- with index $ $key -}}{{- $_ := set $placement $key . -}}{{- end -}}
{{- end -}}
{{- with $placement -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{/* Resources with GPUs: (list RESOURCES GPUS) */}}
{{- define "forefill.resources" -}}
{{- $resources := deepCopy (index . 0) -}}
{{- if gt (int (index . 1)) 0 -}}
{{- $limits := merge (dict "nvidia.com/gpu" (int (index . 1))) (default (dict) $resources.limits) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
