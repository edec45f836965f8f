# ruff: noqa: E501, RUF001 - one text a line, in scripts that look like others
"""Texts in many scripts and styles, written for forefill: on them it is measured what a tokenizer may still merge.

They must not be what a test judges by. Each is short, since every cut of each is tokenized when a server starts.
"""

SAMPLES = (
    # Latin prose
    "Could you explain how the new billing rules change what small hospitals pay for nursing, and who'd notice first?",
    "I've got 3 meetings on Tuesday; we can't move Dr. Ellison's, but let's shift the others - say, to 14:30 or 4 p.m.",
    "Warum überprüft die Krankenhausverwaltung die Aufnahmegespräche erst nachträglich? Bitte mit Begründung.",
    "Où sont passées les données de l'hôpital d'Évreux ? J'ai vérifié aujourd'hui : il n'y a rien après le 15 août.",
    "¿Cuántas habitaciones quedaron vacías durante la última semana? Muéstrame también el número de enfermeros.",
    "Quantos médicos não responderam à pesquisa? Gostaria de saber também a média das avaliações por região.",
    "Które oddziały zgłosiły najwięcej przyjęć w zeszłym tygodniu? Proszę pokazać też średnią długość pobytu.",
    "Hangi bölümlerde boş yatak kaldığını gösterir misiniz? Ayrıca hastaların yaş ortalamasını da hesaplayın.",
    "Cho tôi biết những bệnh nhân nào đã xuất viện trước ngày mười lăm tháng ba, sắp xếp theo tên khoa.",
    "Rédige une réponse courtoise à ce client mécontent ; propose-lui un remboursement ou un échange dès lundi.",
    "Entwirf eine Einladung zur Einweihungsfeier: Beginn um 18:30 Uhr, Getränke gibt's reichlich, Kuchen bringt jeder mit.",
    "Näytä kaikki potilaat, jotka odottivat leikkausta yli kuusi viikkoa, ja laske keskimääräinen odotusaika.",
    # Other scripts with spaces
    "Покажите, пожалуйста, все отделения, где за прошлый месяц выросло число обращений, и объясните почему.",
    "Исправь ошибки в этом письме и сделай его вежливее: начальник просил прислать отчёт ещё вчера!",
    "Скільки пацієнтів чекають на прийом довше двох тижнів? Порахуйте окремо для кожної лікарні міста.",
    "Ποια τμήματα δέχτηκαν τους περισσότερους ασθενείς τον περασμένο μήνα; Ταξινόμησέ τα κατά ημερομηνία.",
    "ما هي الأقسام التي استقبلت أكبر عدد من المرضى خلال الشهر الماضي؟ رتّبها حسب تاريخ الدخول من فضلك.",
    "اكتب لي رسالة قصيرة إلى المدير أعتذر فيها عن التأخير، ثم اقترح موعداً جديداً للاجتماع يناسب الجميع.",
    "هل يمكنك تلخيص هذا التقرير في خمس نقاط؟ المهم أن يكون النص واضحاً ومفهوماً للقراء غير المتخصصين.",
    "استخدمت البرنامج ثلاث مرات، لكنه يتوقف عندما أستورد ملفات المستخدمين؛ فما السبب وكيف أتفاداه؟",
    "کدام بخش‌ها در هفتهٔ گذشته تخت خالی داشتند؟ لطفاً فهرست را بر اساس نام بیمارستان مرتب کنید.",
    "אילו מחלקות קיבלו את מספר המטופלים הגדול ביותר בחודש שעבר? סדר אותן לפי תאריך הקבלה בבקשה.",
    "पिछले महीने किन विभागों में सबसे अधिक रोगी भर्ती हुए? कृपया उन्हें भर्ती की तारीख के अनुसार क्रम में दिखाइए।",
    "গত মাসে কোন বিভাগগুলিতে সবচেয়ে বেশি রোগী ভর্তি হয়েছেন? দয়া করে তারিখ অনুযায়ী সাজিয়ে দেখান।",
    "கடந்த மாதம் எந்தப் பிரிவுகளில் அதிக நோயாளிகள் அனுமதிக்கப்பட்டனர்? தேதி வாரியாக வரிசைப்படுத்தவும்.",
    "గత నెలలో ఏ విభాగాలలో ఎక్కువ మంది రోగులు చేరారు? దయచేసి తేదీల వారీగా చూపించండి.",
    "지난달에 환자가 가장 많이 늘어난 진료과는 어디인가요? 병원별로 나누어 표로 정리하고 이유도 설명해 주세요.",
    "회의록을 짧게 요약하고 다음에 해야 할 일을 담당자별로 적어 주세요. 마감일은 금요일까지입니다.",
    "응급실 대기 시간이 왜 길어졌는지 알려줘. 간호사 수와 병상 수를 비교해서 그래프로 그려 줄 수 있어?",
    "የባለፈው ወር ብዙ ታካሚዎች የተቀበሉት የትኞቹ ክፍሎች ናቸው? እባክዎ በቀን ቅደም ተከተል ያሳዩ።",
    "რომელმა განყოფილებებმა მიიღეს ყველაზე მეტი პაციენტი გასულ თვეში? დაალაგეთ თარიღის მიხედვით.",
    # Scripts without spaces
    "โรงพยาบาลไหนมีผู้ป่วยเพิ่มขึ้นมากที่สุดในเดือนก่อน กรุณาแยกตามจังหวัดและอธิบายสาเหตุด้วยว่าเป็นเพราะอะไร",
    "อยากรู้ว่าพยาบาลแต่ละคนดูแลคนไข้กี่คนต่อวัน และเวลารอเฉลี่ยของห้องฉุกเฉินนานแค่ไหน",
    "ໂຮງໝໍໃດມີຄົນເຈັບເພີ່ມຂຶ້ນຫຼາຍທີ່ສຸດໃນເດືອນແລ້ວນີ້ ກະລຸນາອະທິບາຍສາເຫດໃຫ້ລະອຽດ",
    "តើមន្ទីរពេទ្យណាមានអ្នកជំងឺកើនឡើងច្រើនជាងគេនៅខែមុន សូមពន្យល់ពីមូលហេតុឲ្យបានលម្អិត",
    "ယခင်လတွင်မည်သည့်ဆေးရုံ၌လူနာအများဆုံးတိုးလာသနည်း။ အကြောင်းရင်းကိုအသေးစိတ်ရှင်းပြပေးပါ။",
    "上个月哪些科室的门诊人数增长最快？请按医院分别统计，并说明主要原因，最后画一张折线图。",
    "帮我写一封邮件给供应商，告诉他们设备已经收到了，但是有两台无法正常开机，需要尽快安排更换。",
    "数据库连接超时的时候，应用程序应该怎样重试？给出代码示例，并解释指数退避算法的优点和缺点。",
    "我的孩子今年六岁，喜欢恐龙和火车，请编一个睡前故事，大约五百字，结尾要温馨一些。",
    "這個週末台北的天氣怎麼樣？我想帶孩子去爬山，順便參觀博物館，請推薦適合的路線。",
    "先月、外来患者数が最も増えた診療科はどこですか？病院ごとに集計して、その理由も説明してください。",
    "新しいパソコンにソフトウェアをインストールしたのですが、エラーが出て起動できません。どうすればよいでしょうか。",
    "ありがとうございます。それでは、もう少しくわしくおしえていただけますか？とてもたのしみにしています！",
    # Signs and digits
    "Great job 🎉🎉 see you tomorrow 👋🏽! 👨‍👩‍👧 love it ❤️ 😂😂😂 🇫🇷🇯🇵 1️⃣ ok ✅ → done ☀️",
    "call +44 20 7946 0958 or 0x7fe3a90c41d2b; pi = 3.1415926535, 12,345,678.90 EUR, 99.5% on 2024-11-05T08:15:00Z",
    "c0a8f31e9b7d4462ad05fe8813c9b2e46f70a1d98e2b5c3f4417de60b98ac25d7f1e93b0a46c8d2275ef019b3ac4d687",
    "key: Qm9yZWQgb2YgZW5jb2Rpbmcs/IGFyZW4ndCB5b3U/+V2VsbCw== id 550e8400-e29b-41d4-a716-446655440000",
    "Dear all,\n\n\n   please note:\n\n\t- first  item\n\t- second    item\r\n\r\nRegards,\r\n   Ann        \n\n\n\nPS  hi",
    # Code and markup
    "class Cart:\n    def __init__(self, items=None):\n        self.items = items or []\n\n    def add(self, x: int) -> None:\n"
    "        if x not in self.items and x >= 0:\n            self.items.append(x * 2)  # keep\n",
    "const f = async (url) => {\n  const res = await fetch(`${url}?q=1&n=${n++}`);\n  if (!res.ok) { throw new Error('bad'); }\n"
    "  return res.json()['data'][0]?.name ?? \"none\";\n};\n",
    'fn main() {\n\tlet v: Vec<u8> = vec![1, 2, 3];\n\tprintln!("{:?}", v.iter().map(|x| x + 1).sum::<u8>());\n}\n'
    "#include <stdio.h>\nint main(void) { for (;;) { x += y[i++] << 2; } }",
    '{"name": "Ann", "tags": ["x", "y"], "size": {"w": 10.5, "h": null}, "ok": false, "url": "https://a.b/c"}',
    '[{"id":1,"to":"x@y.org","n":[1,2,[]]},{"id":2,"to":null,"s":"\\"q\\" \\u00e9\\n"}]',
    "SELECT d.name, AVG(v.cost) FROM visits AS v LEFT JOIN doctors d ON d.id = v.doctor_id WHERE v.day BETWEEN "
    "'2024-02-01' AND '2024-03-01' AND d.city <> 'Bonn' GROUP BY d.name;",
    "see https://docs.python.org/3/library/re.html#re.sub and http://127.0.0.1:9090/graph?g0.expr=up%7Bjob%3D%22x%22%7D"
    " or git@github.com:ann/my-app.git, C:\\Users\\ann\\file.txt /usr/lib/x86_64/",
    "\\begin{align} \\int_0^{\\infty} e^{-x^2}\\,dx &= \\frac{\\sqrt{\\pi}}{2} \\\\ a_{ij} &\\le \\|x\\|_2 \\end{align} $f(x)$",
    "# Title\n\n* **bold** and `code_span` [link](http://x.org)\n* _it_ ~~no~~\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n"
    "> quote\n\n```sh\n$ ls -la | grep '^d' && echo \"$HOME\"\n```\n",
    '<div class="box" id=\'a1\'><a href="#top">Up &amp; away</a><br/></div>\n<!-- note --> <style>p{margin:0 auto;}</style>',
    "Wait... what?! (Really?) \"No,\" she said -- 'never'. [1] {2} <3> a/b; c: d * e = f_g #h @i & j ~ k ^ l | m \u2014 n\u2026 \u00abo\u00bb",
)
