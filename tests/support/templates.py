"""Chat templates in the manner of several model families, each with one habit that can go wrong.

They run on any tokenizer: what is a special token of their family may be plain text to it.
"""

_TURN_END = "{{ '<|im_start|>assistant\n' if add_generation_prompt }}"

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    + _TURN_END
)

LLAMA_3 = """{{- bos_token }}
{%- for m in messages %}
    {{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}"""

GEMMA = """{{- bos_token }}
{%- set prefix = '' %}
{%- if messages[0]['role'] == 'system' %}
    {%- set prefix = messages[0]['content'] + '\n\n' %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- for m in messages %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}
    {{- '<start_of_turn>' + role + '\n' + (prefix if loop.first else '') + m['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"""

MISTRAL = """{{- bos_token }}
{%- for m in messages %}
    {%- if m['role'] == 'system' %}{{- raise_exception('Only user and assistant roles are supported!') }}{%- endif %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant') }}
    {%- endif %}
    {%- if m['role'] == 'user' %}{{- '[INST] ' + m['content'] + ' [/INST]' }}
    {%- else %}{{- m['content'] + eos_token }}{%- endif %}
{%- endfor %}"""

SYSTEM_IN_THE_LAST_TURN = """{{- bos_token }}
{%- set system = '' %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] + '\n\n' %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- for m in messages %}
    {%- if m['role'] == 'user' %}{{- '[INST] ' + (system if loop.last else '') + m['content'] + '[/INST]' }}
    {%- else %}{{- ' ' + m['content'] | trim + eos_token }}{%- endif %}
{%- endfor %}"""

NEEDS_A_USER = (
    """{%- if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}
    {{- raise_exception('No user query found in messages.') }}
{%- endif %}"""
    + CHATML
)

NO_SPECIAL_TOKENS = """{%- for m in messages %}
    {{- '### ' + m['role'] | capitalize + ':\n' + m['content'] + '\n\n' }}
{%- endfor %}{{- '### Assistant:\n' }}"""

NOTHING_AROUND = "{% for m in messages %}{{ m['content'] }}{% endfor %}"

CONTENT_IN_PARTS = (
    """{%- for m in messages %}
    {{- '<|im_start|>' + m['role'] + '\n' }}
    {%- if m['content'] is string %}{{- m['content'] }}
    {%- else %}
        {%- for part in m['content'] %}
            {%- if part['type'] == 'text' %}{{- '(' + part['text'] + ')' }}{%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}"""
    + _TURN_END
)

LOOKS_BACK = """{%- set ns = namespace(last_query=-1) %}
{%- for m in messages[::-1] %}
    {%- if ns.last_query < 0 and m['role'] == 'user'
        and not (m['content'].startswith('<tool>') and m['content'].endswith('</tool>')) %}
        {%- set ns.last_query = messages | length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set content = m['content'] %}
    {%- if m['role'] == 'assistant' and '</think>' in content and loop.index0 < ns.last_query %}
        {%- set content = content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {{- '<|im_start|>' + m['role'] + '\n' + content + '<|im_end|>\n' }}
{%- endfor %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"""

DROPS_REASONING = """{%- for m in messages %}
    {%- set drop = clear_thinking | default(true) and '</think>' in m['content'] %}
    {{- '<|im_start|>' + m['role'] + '\n' + (m['content'].split('</think>')[-1] if drop else m['content']) }}
    {{- '<|im_end|>\n' }}
{%- endfor %}{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"""

OWN_SYSTEM_PROMPT = """{%- macro text(content) %}
    {%- if content is string %}{{- content }}
    {%- else %}{%- for part in content %}{{- part['text'] }}{%- endfor %}{%- endif %}
{%- endmacro %}
{%- if not (messages[0]['role'] == 'system' and messages[0]['content']) %}
    {{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- for m in messages %}
    {%- if m['content'] %}{{- '<|im_start|>' + m['role'] + '\n' + text(m['content']) + '<|im_end|>\n' }}{%- endif %}
{%- endfor %}{{- '<|im_start|>assistant\n' }}"""

REWRITES_THE_USER = (
    """{%- for m in messages %}
    {{- '<|im_start|>' + m['role'] + '\n' + m['content'] | replace('<|', '< |') | upper + '<|im_end|>\n' }}
{%- endfor %}"""
    + _TURN_END
)

REPEATS_THE_USER = (
    "{{- '<|im_start|>topic\n' + messages[-1]['content'][:20] + '<|im_end|>\n' }}"
    + CHATML
    + "{{- messages[-1]['content'] }}"
)

COUNTS_THE_USER = "{{- messages[-1]['content'] | length }} characters\n" + CHATML

TEMPLATES = {name.lower(): value for name, value in list(globals().items()) if name.isupper() and name[0] != "_"}
"""All of the above, by name."""
