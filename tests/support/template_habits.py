"""Chat templates in the manner of several model families, for what they do with tools, documents, thoughts and names.

Each has one habit that can go wrong. They run on any tokenizer.
"""

_TURN_END = "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

SHOWS_ALL_AS_IT_IS = """{#- without the word "content" no message could be continued #}
{{- tools | tojson if tools }}{{ documents | tojson if documents }}
{{- [reasoning_effort, enable_thinking, builtin_tools, add_generation_prompt] }}
{%- for m in messages %}{{- '\n' + m | tojson }}{%- endfor %}"""

TOOLS_IN_THE_SYSTEM_PROMPT = """{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
    {{- '# Tools\n<tools>' }}
    {%- for tool in tools %}{{- '\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\n</tools><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- set ns = namespace(last_query=messages | length - 1) %}
{%- for m in messages[::-1] %}
    {%- set index = messages | length - 1 - loop.index0 %}
    {%- if m.role == 'user' and ns.last_query == messages | length - 1 %}{%- set ns.last_query = index %}{%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.role == 'user' or m.role == 'system' and not loop.first %}
        {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
    {%- elif m.role == 'assistant' %}
        {%- set thoughts = m.reasoning_content if m.reasoning_content is string else '' %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last_query and (loop.last or thoughts) %}
            {{- '<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' }}
        {%- endif %}
        {{- m.content }}
        {%- for call in m.tool_calls %}
            {%- if call.function %}{%- set call = call.function %}{%- endif %}
            {{- '\n<tool_call>\n{"name": "' + call.name + '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif m.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\n<tool_response>\n' + m.content + '\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}"""

TOOLS_BEFORE_THE_LAST_QUESTION = """{{- bos_token }}
{%- for m in messages %}
    {%- if m['role'] == 'user' %}
        {%- if tools and loop.last %}{{- '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{%- endif %}
        {{- '[INST]' + m['content'] + '[/INST]' }}
    {%- elif m['tool_calls'] is defined and m['tool_calls'] %}
        {{- '[TOOL_CALLS][' }}
        {%- for call in m['tool_calls'] %}
            {%- if call['id'] | length != 9 %}{{- raise_exception('Tool call IDs should be 9 characters') }}{%- endif %}
            {%- set out = call['function'] | tojson %}
            {{- out[:-1] + ', "id": "' + call['id'] + '"}' }}{{- ', ' if not loop.last }}
        {%- endfor %}
        {{- ']' + eos_token }}
    {%- elif m['role'] == 'tool' %}
        {{- '[TOOL_RESULTS]{"content": ' + m['content'] + ', "call_id": "' + m['tool_call_id'] + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- m['content'] + eos_token }}
    {%- endif %}
{%- endfor %}"""

TOOLS_IN_THE_FIRST_QUESTION = """{{- bos_token }}
{%- set ns = namespace(tools_shown=not tools) %}
{%- for m in messages %}
    {%- if m.role == 'user' and not ns.tools_shown %}
        {%- set ns.tools_shown = true %}
        {{- '<|start_header_id|>user<|end_header_id|>\n\nHere are functions.\n\n' }}
        {%- for tool in tools %}{{- tool | tojson(indent=4) + '\n\n' }}{%- endfor %}
        {{- m.content | trim + '<|eot_id|>' }}
    {%- elif m.tool_calls %}
        {%- if m.tool_calls | length != 1 %}
            {{- raise_exception('This model only supports single tool-calls at once!') }}
        {%- endif %}
        {%- set call = m.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
        {%- if builtin_tools is defined and call.name in builtin_tools %}
            {{- '<|python_tag|>' + call.name + '.call(' }}
            {%- for name, value in call.arguments | items %}{{- name + '="' ~ value ~ '"' }}{%- endfor %}
            {{- ')<|eom_id|>' }}
        {%- else %}
            {{- '{"name": "' + call.name + '", "parameters": ' + call.arguments | tojson + '}<|eot_id|>' }}
        {%- endif %}
    {%- else %}
        {%- set role = 'ipython' if m.role == 'tool' else m.role %}
        {{- '<|start_header_id|>' + role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""

ARGUMENTS_ONE_BY_ONE = """{%- for m in messages %}
    {{- '<|' + m.role + '|>\n' }}
    {%- if m.reasoning_content %}{{- '<think>' + m.reasoning_content.strip() + '</think>\n' }}{%- endif %}
    {{- m.content }}
    {%- for call in m.tool_calls or [] %}
        {{- '\n<tool_call>' + call.function.name }}
        {%- for name, value in call.function.arguments.items() %}
            {{- '\n<arg_key>' + name + '</arg_key>\n<arg_value>' }}
            {{- value if value is string else value | tojson(ensure_ascii=False) }}
            {{- '</arg_value>' }}
        {%- endfor %}
        {{- '\n</tool_call>' }}
    {%- endfor %}
    {{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' + ('/nothink' if enable_thinking is false else '') }}{%- endif %}"""

PARTS_WITH_TOOLS = (
    """{%- for tool in tools or [] %}{{- tool.function | tojson(sort_keys=True) + '\n' }}{%- endfor %}
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + (' ' + m.name if m.name else '') + '\n' }}
    {%- if m.content is string %}{{- '"' + m.content + '"' }}
    {%- else %}
        {{- m.content | length }}
        {%- for part in m.content %}{{- '(' + part.text + ')' }}{%- endfor %}
    {%- endif %}
    {%- for call in m.tool_calls or [] %}{{- call | tojson }}{%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}"""
    + _TURN_END
)

SHOWS_DOCUMENTS = (
    """{%- if documents %}
    {%- for document in documents %}
        {{- 'No. ' ~ loop.index0 ~ '\nTitle: ' + document['title'] | default('none') + '\n' + document.text + '\n' }}
    {%- endfor %}
    {{- documents | tojson + '\n' }}
{%- endif %}
{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}"""
    + _TURN_END
)

SHOWS_EFFORT_AND_NAMES = (
    """{{- 'Reasoning: ' ~ reasoning_effort | default('medium') ~ ', ' ~ enable_thinking | default('unset') ~ '\n' }}
{%- if reasoning_effort == 'none' %}{{- raise_exception('reasoning_effort none is not supported') }}{%- endif %}
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + (' name=' + m.name if m.name is defined else '') + '\n' }}
    {{- m.content + '<|im_end|>\n' }}
{%- endfor %}"""
    + _TURN_END
)

HABITS = {name.lower(): value for name, value in list(globals().items()) if name.isupper() and name[0] != "_"}
"""All of the above, by name."""
