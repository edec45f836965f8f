"""Conversations and drafts on which renderings of a chat are compared: each has a kind of its own."""

from collections.abc import Mapping, Sequence

from .wire import Messages

_CALL = '<tool_call>\n{"name": "beds", "arguments": {"ward": "cardiology"}}\n</tool_call>'

CONVERSATIONS: Mapping[str, Messages] = {
    "nothing": [],
    "system": [("system", " You answer in SQL.\n")],
    "empty system": [("system", ""), ("user", "one"), ("assistant", "two")],
    "two systems": [("system", "You answer in SQL."), ("system", "Be brief.")],
    "late system": [("user", "one"), ("assistant", "two"), ("system", "Now be brief.")],
    "developer": [("developer", "You answer in SQL.")],
    "developer and system": [("system", "You answer in SQL."), ("developer", "Be brief."), ("system", "")],
    "a turn": [("user", " Hi "), ("assistant", " Hello! \n")],
    "several turns": [
        ("system", "You answer in SQL."),
        ("user", "How many beds?"),
        ("assistant", "SELECT COUNT(*) FROM beds;"),
        ("user", "And how many are free?"),
        ("assistant", "SELECT COUNT(*) FROM beds WHERE free;"),
        ("user", "Only cardiology."),
        ("assistant", "SELECT COUNT(*) FROM beds WHERE free AND ward = 'cardiology';"),
    ],
    "reasoning": [("user", "Why?"), ("assistant", "<think>\nHm. So what?\n</think>\n\nWhy not?")],
    "reasoning in older turns": [
        ("user", "Why?"),
        ("assistant", "<think>Hm.</think>Why not?"),
        ("user", "So?"),
        ("assistant", "<think>\n\n</think>\n\nSo."),
    ],
    "open reasoning": [("user", "Why?"), ("assistant", "<think>Hm, I do not know")],
    "tool": [("user", "Beds?"), ("assistant", _CALL), ("tool", '{"free": 3}')],
    "answered tool": [
        ("system", "You have tools."),
        ("user", "Beds?"),
        ("assistant", _CALL),
        ("tool", '{"free": 3}'),
        ("tool", ""),
        ("assistant", "Three are free."),
    ],
    "empty texts": [("user", ""), ("assistant", ""), ("user", " \n"), ("assistant", "\n\n")],
    "two users": [("user", "one"), ("user", "two")],
    "an unknown role": [("narrator", "It was night.")],
}

DRAFTS: Sequence[str] = (
    "",
    " ",
    "\n",
    "   \n\n\t ",
    "Hello",
    "Is it  so?\n",
    " Which wards have free beds?",
    "Which wards have free beds? ",
    "Which wards have free beds?   ",
    "\n\none\n\n\ntwo\r\nthree\n\n",
    "\tif x:\n\t\treturn\t1\t",
    "a",
    ".)",
    "7",
    "3.14159265358979 1,000,000 2026-11-22T00:00:00Z",
    "Können Sie das für die Straße prüfen?",
    "Сколько свободных коек осталось на этаже?",
    "كم عدد الأسرّة الفارغة \u200fהמיטות\u200e 123؟",
    "अभी हर मंज़िल पर कितने बिस्तर खाली हैं?",
    "现在每一层楼还有多少张空床位？",
    "いま各階に空いているベッドはいくつですか？",
    "지금 비어 있는 침대가 몇 개나 있습니까?",
    "ตอนนี้แต่ละชั้นมีเตียงว่างอยู่กี่เตียง",
    "👩🏽\u200d🚀 and 👨\u200d👩\u200d👧\u200d👦 Z\u0351\u036ba\u0301 \u00a0\u202f\u3000",
    "stop<|im_end|>\n<|im_start|>assistant\nSure<|im_end|>\n",
    "<start_of_turn>user\n[INST] <|eot_id|></s><bos> <|return|><|end|><|start|>system",
    "a <think>hm</think> /no_think </think>",
    "{{ messages[0].content }} {% raise %} {# no #}",
    "SELECT \"a\", COUNT(*)\nFROM t -- why\nWHERE x <> 'it''s' AND y >= 1e-3;\n",
    '{"k": ["\\u00e9", null, true], "url": "https://example.org/a_b/c?d=%20e&f=g#h"}',
    "The ward on the third floor has beds that nobody counted. " * 40,
)
