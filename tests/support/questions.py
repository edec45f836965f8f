"""Ordinary questions in many languages, and code, by language: what people type into a box, for sweeps over scripts."""

from collections.abc import Mapping, Sequence

QUESTIONS: Mapping[str, Sequence[str]] = {
    "English": (
        "Which patients were admitted to cardiology last week?",
        "Why doesn't my query return the rows without a discharge date?",
        "Could you summarize this e-mail in two sentences, please?",
        "What's the difference between a left join and an inner join?",
    ),
    "German": (
        "Welche Patientinnen wurden letzte Woche in der Kardiologie aufgenommen?",
        "Wie viele Betten sind auf jeder Station noch frei?",
        "Können Sie mir diesen Vertrag in einfachen Worten erklären?",
        "Warum schlägt die Donaudampfschifffahrtsgesellschaft so hohe Preise vor?",
    ),
    "French": (
        "Quels patients ont été admis en cardiologie la semaine dernière ?",
        "Combien de lits sont encore libres à chaque étage aujourd'hui ?",
        "Peux-tu résumer cet e-mail en deux phrases, s'il te plaît ?",
        "Pourquoi ma requête n'affiche-t-elle pas les dossiers sans date de sortie ?",
    ),
    "Turkish": (
        "Geçen hafta kardiyoloji servisine hangi hastalar yatırıldı?",
        "Her katta şu anda kaç boş yatak var, tablo olarak gösterir misin?",
        "Bu sözleşmeyi bana daha basit kelimelerle açıklayabilir misiniz?",
        "İstanbul'dan Ankara'ya en ucuz tren bileti ne kadar?",
    ),
    "Russian": (
        "Какие пациенты поступили в кардиологию на прошлой неделе?",
        "Сколько свободных коек осталось сейчас на каждом этаже?",
        "Можешь кратко пересказать это письмо двумя предложениями?",
        "Почему мой запрос не показывает строки без даты выписки?",
    ),
    "Arabic": (
        "من هم المرضى الذين دخلوا قسم القلب في الأسبوع الماضي؟",
        "كم عدد الأسرّة الفارغة في كل طابق الآن؟",
        "هل يمكنك تلخيص هذه الرسالة في جملتين من فضلك؟",
        "لماذا لا يعرض استعلامي الصفوف التي ليس لها تاريخ خروج؟",
    ),
    "Hebrew": (
        "אילו חולים אושפזו במחלקה הקרדיולוגית בשבוע שעבר?",
        "כמה מיטות פנויות יש עכשיו בכל קומה?",
        "האם תוכל לסכם את המכתב הזה בשני משפטים בבקשה?",
        'למה השאילתה שלי לא מחזירה שורות בלי תאריך שחרור מביה"ח?',
    ),
    "Hindi": (
        "पिछले सप्ताह हृदय रोग विभाग में कौन से मरीज़ भर्ती हुए?",
        "अभी हर मंज़िल पर कितने बिस्तर खाली हैं?",
        "क्या आप इस पत्र को दो वाक्यों में समझा सकते हैं?",
        "मेरी क्वेरी बिना छुट्टी की तारीख वाली पंक्तियाँ क्यों नहीं दिखाती?",
    ),
    "Chinese": (
        "请列出上周住进心内科的所有病人，并按入院日期排序。",
        "现在每一层楼还有多少张空床位？请用表格显示。",
        "为什么我的查询没有返回出院日期为空的记录？",
        "你能用两句话总结一下这封邮件的主要内容吗？",
    ),
    "Japanese": (
        "先週、循環器内科に入院した患者を入院日順に表示してください。",
        "いま各階に空いているベッドはいくつありますか？",
        "このメールの内容を二つの文でまとめてもらえますか。",
        "退院日が入っていないデータが検索結果に出てこないのはなぜですか？",
    ),
    "Korean": (
        "지난주에 심장내과에 입원한 환자를 입원일 순서로 보여 주세요.",
        "지금 각 층에 비어 있는 침대가 몇 개나 있습니까?",
        "이 이메일의 내용을 두 문장으로 요약해 줄 수 있나요?",
        "왜 제 쿼리는 퇴원 날짜가 없는 행을 보여 주지 않나요?",
    ),
    "Thai": (
        "ช่วยแสดงรายชื่อผู้ป่วยที่เข้ารักษาในแผนกโรคหัวใจเมื่อสัปดาห์ที่แล้ว",
        "ตอนนี้แต่ละชั้นมีเตียงว่างอยู่กี่เตียง",
        "คุณช่วยสรุปอีเมลฉบับนี้เป็นสองประโยคได้ไหมครับ",
        "ทำไมคำสั่งของฉันไม่แสดงแถวที่ไม่มีวันที่ออกจากโรงพยาบาล",
    ),
    "Khmer": (
        "តើអ្នកជំងឺណាខ្លះដែលបានចូលសម្រាកនៅផ្នែកបេះដូងកាលពីសប្តាហ៍មុន?",
        "តើឥឡូវនេះមានគ្រែទំនេរប៉ុន្មាននៅជាន់នីមួយៗ?",
        "តើអ្នកអាចសង្ខេបអ៊ីមែលនេះជាពីរប្រយោគបានទេ?",
        "ហេតុអ្វីបានជាសំណួររបស់ខ្ញុំមិនបង្ហាញជួរដេកដែលគ្មានកាលបរិច្ឆេទ?",
    ),
    "Burmese": (
        "ပြီးခဲ့တဲ့အပတ်က နှလုံးရောဂါဌာနမှာ ဘယ်လူနာတွေ တက်ရောက်ခဲ့သလဲ။",
        "အခု အထပ်တိုင်းမှာ ကုတင်အလွတ် ဘယ်နှလုံးရှိသလဲ။",
        "ဒီအီးမေးလ်ကို စာကြောင်းနှစ်ကြောင်းနဲ့ အကျဉ်းချုပ်ပေးနိုင်မလား။",
        "ဆေးရုံဆင်းရက်မပါတဲ့ စာရင်းတွေကို ဘာကြောင့် မပြတာလဲ။",
    ),
    "Vietnamese": (
        "Những bệnh nhân nào đã nhập viện khoa tim mạch vào tuần trước?",
        "Hiện nay mỗi tầng còn bao nhiêu giường trống?",
        "Bạn có thể tóm tắt thư này trong hai câu được không?",
        "Tại sao truy vấn của tôi không trả về các dòng thiếu ngày ra viện?",
    ),
    "code": (
        "def total(rows):\n    return sum(row.beds for row in rows if row is not None)\n\nWhy is this slow?",
        "for (let i = 0; i < rows.length; i++) {\n\tif (rows[i].id !== null && rows[i].ok) { out.push(rows[i]); }\n}",
        "SELECT ward, COUNT(*) AS n FROM beds WHERE free = TRUE GROUP BY ward HAVING COUNT(*) > 1 ORDER BY n DESC;",
        "```python\r\nimport os\r\nprint(os.environ['PATH'])\r\n``` prints nothing",
    ),
    "URL": (
        "https://example.org/wards/17/beds.html?free=true&page=2#top gives me a 404",
        "http://localhost:8000/v1/models?x=1&y=%20a and /var/log/nginx/access.log.1",
    ),
    "JSON": (
        '{"user": {"id": 17, "tags": ["a", "b"]}, "ok": true, "at": "2025-01-01T08:30:00Z"}',
        '{"wards":[{"name":"cardiology","beds":12,"free":null},{"name":"x-ray","beds":0}]} make a schema',
    ),
    "hex": (
        "what is 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "0xDEADBEEF 0x7fff5fbff8a0 de:ad:be:ef:00:17 550e8400-e29b-41d4-a716-446655440000",
    ),
}
"""By language: four each, so sixty; and by kind of code."""
