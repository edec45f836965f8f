"""Input methods whose text is seen in the box while it is composed: what the box shows, one after each key.

Each state comes with whether the end of it is under composition then.
"""

import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise

Shown = tuple[str, bool]

KANA = (
    ("せんしゅう", "先週"),
    ("じゅんかんきないか", "循環器内科"),
    ("に", "に"),
    ("にゅういんした", "入院した"),
    ("かんじゃの", "患者の"),
    ("なまえと", "名前と"),
)
"""What is typed, and the word that takes its place."""
ROMAJI = (
    ("se,n,shu,u", "せ,ん,しゅ,う", "先週"),
    ("ju,n,ka,n,ki,na,i,ka", "じゅ,ん,か,ん,き,な,い,か", "循環器内科"),
    ("ni", "に", "に"),
    ("nyu,u,i,n,shi,ta", "にゅ,う,い,ん,し,た", "入院した"),
    ("ka,n,ja,no", "か,ん,じゃ,の", "患者の"),
    ("na,ma,e", "な,ま,え", "名前"),
)
PINYIN = (
    ("qing'xian'shi", "请显示"),
    ("shang'zhou", "上周"),
    ("zhu'jin", "住进"),
    ("xin'nei'ke", "心内科"),
    ("de", "的"),
    ("suo'you'bing'ren", "所有病人"),
    ("bing'an'ru'yuan'ri'qi", "并按入院日期"),
    ("pai'xu", "排序"),
)
KOREAN = "지난주에 심장내과에 입원한 모든 환자를 입원일 순서로 보여 주세요"


def kana() -> Iterator[Shown]:
    """Each kana is shown as it is typed; a word takes the place of its kana."""
    box = ""
    for typed, word in KANA:
        yield from ((box + typed[:end], True) for end in range(1, len(typed) + 1))
        box += word
        yield box, False


def romaji() -> Iterator[Shown]:
    """Letters become kana one by one, kana become words."""
    box = ""
    for letters, syllables, word in ROMAJI:
        shown = ""
        for typed, syllable in zip(letters.split(","), syllables.split(","), strict=True):
            yield from ((box + shown + typed[:end], True) for end in range(1, len(typed) + 1))
            shown += syllable
            yield box + shown, True
        box += word
        yield box, False


def pinyin(between: str = "'") -> Iterator[Shown]:
    """Letters are shown with a sign between syllables; a word takes their place."""
    box = ""
    for typed, word in PINYIN:
        shown = typed.replace("'", between)
        yield from ((box + shown[:end], True) for end in range(1, len(shown) + 1))
        box += word
        yield box, False


def hangul() -> Iterator[Shown]:
    """A syllable grows letter by letter; its last consonant may move on to the next one."""
    compatible = {ord(unicodedata.normalize("NFKC", chr(jamo))): chr(jamo) for jamo in range(0x3131, 0x3164)}
    box = ""
    for syllable, after in pairwise(KOREAN + " "):
        if syllable == " ":
            box += syllable
            yield box, False
            continue
        first, *rest = list(unicodedata.normalize("NFD", syllable))
        yield box + compatible.get(ord(first), first), True
        for end in range(1, len(rest) + 1):
            yield box + unicodedata.normalize("NFC", first + "".join(rest[:end])), True
        following = unicodedata.normalize("NFD", after)[0]
        if len(rest) == 1 and ord(following) in compatible:  # until its vowel comes
            final = chr(ord(following) - 0x1100 + 0x11A7)
            shown = unicodedata.normalize("NFC", syllable + final)
            if len(shown) == 1:
                yield box + shown, True
        box += syllable
        yield box, False


COMPOSITIONS: dict[str, Callable[[], Iterator[Shown]]] = {
    "kana": kana,
    "romaji": romaji,
    "pinyin": pinyin,
    "pinyin with spaces": lambda: pinyin(" "),
    "hangul": hangul,
}
"""By name."""
