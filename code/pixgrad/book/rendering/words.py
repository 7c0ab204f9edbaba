"""The words of a page in the language of the book, as Quarto has them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pixgrad.book.source import metadata
from pixgrad.book.source.project import Chapter, Project

_KEYS = (
    "fig", "tbl", "lst", "thm", "lem", "cor", "prp", "cnj", "def", "exm", "exr", "rem", "sol",
    "eq", "sec", "ch", "apx", "proof", "note", "tip", "warning", "important", "caution",
    "appendices", "toc", "code", "abstract", "line", "lines", "edit", "issue", "source",
)  # fmt: skip
_WORDS: Mapping[str, str] = {  # by language: the words of the keys in their order
    "en": "Figure|Table|Listing|Theorem|Lemma|Corollary|Proposition|Conjecture|Definition|"
    "Example|Exercise|Remark|Solution|Equation|Section|Chapter|Appendix|Proof|Note|Tip|"
    "Warning|Important|Caution|Appendices|Table of contents|Code|Abstract|Line|Lines|"
    "Edit this page|Report an issue|View source",
    "ru": "Рисунок|Таблица|Листинг|Теорема|Лемма|Следствие|Утверждение|Гипотеза|Определение|"
    "Пример|Упражнение|Примечание|Решение|Уравнение|Раздел|Глава|Приложение|"
    "Доказательство|Уведомление|Совет|Предупреждение|Важное уведомление|Осторожность|"
    "Приложения|Содержание|Код|Аннотация|Строка|Строки|Редактировать страницу|"
    "Сообщить о проблеме|Показать код",
    "uk": "Рисунок|Таблиця|Список|Теорема|Лемма|Наслідок|Твердження|Гіпотеза|Визначення|"
    "Приклад|Вправа|Примітка|Рішення|Рівняння|Розділ|Глава|Додаток|Доведення|Примітка|"
    "Порада|Попередження|Важливо|Застереження|Додатки|Зміст|Код|Анотація|Лінія|Лінії|"
    "Редагувати сторінку|Повідомити про проблему|Показати код",
    "de": "Abbildung|Tabelle|Listing|Theorem|Lemma|Korollar|Aussage|Annahme|Definition|"
    "Beispiel|Übungsaufgabe|Anmerkung|Lösung|Gleichung|Kapitel|Kapitel|Anhang|Beweis|"
    "Hinweis|Tipp|Warnung|Wichtig|Vorsicht|Anhang|Inhaltsverzeichnis|Code|"
    "Zusammenfassung|Zeile|Zeilen|Seite editieren|Problem melden|Quellcode anzeigen",
    "fr": "Figure|Table|Listing|Théorème|Lemme|Corollaire|Proposition|Conjecture|Définition|"
    "Exemple|Exercice|Remarque|Solution|Équation|Section|Chapitre|Annexe|Preuve|Note|"
    "Astuce|Avertissement|Important|Mise en garde|Annexes|Table des matières|Code|Résumé|"
    "Ligne|Lignes|Modifier cette page|Faire part d'un problème|Voir la source",
    "es": "Figura|Tabla|Listado|Teorema|Lema|Corolario|Proposición|Conjetura|Definición|"
    "Ejemplo|Ejercicio|Observación|Solución|Ecuación|Sección|Capítulo|Apéndice|Prueba|"
    "Nota|Tip|Advertencia|Importante|Precaución|Apéndices|Tabla de contenidos|Código|"
    "Resumen|Línea|Líneas|Editar esta página|Informar de un problema|Ver el código",
    "it": "Figura|Tabella|Lista|Teorema|Lemma|Corollario|Proposizione|Congettura|Definizione|"
    "Esempio|Esercizio|Osservazione|Soluzione|Equazione|Sezione|Capitolo|Appendice|"
    "Dimostrazione|Nota|Consiglio|Avviso|Importante|Attenzione|Appendici|Indice|Codice|"
    "Sommario|Linea|Linee|Modifica questa pagina|Segnala un problema|Mostra il codice",
    "pt": "Figura|Tabela|Listagem|Teorema|Lema|Corolário|Proposição|Conjetura|Definição|"
    "Exemplo|Exercício|Comentário|Solução|Equação|Seção|Capítulo|Apêndice|Comprovação|"
    "Nota|Dica|Aviso|Importante|Cuidado|Apêndices|Índice|Código|Resumo|Linha|Linhas|"
    "Editar essa página|Criar uma issue|Ver o código fonte",
    "nl": "Figuur|Tabel|Listing|Stelling|Lemma|Conclusie|Voorstel|Aanname|Definitie|Voorbeeld|"
    "Oefening|Opmerking|Oplossing|Vergelijking|Paragraaf|Hoofdstuk|Bijlage|Bewijs|"
    "Opmerking|Tip|Waarschuwing|Belangrijk|Opgelet|Bijlagen|Inhoudsopgave|Code|"
    "Samenvatting|Lijn|Lijnen|Pagina bewerken|Een probleem melden|Broncode bekijken",
    "pl": "Rysunek|Tabela|Wykaz|Twierdzenie|Lemat|Wniosek|Proposition|Przypuszczenie|Definicja|"
    "Przykład|Ćwiczenie|Komentarz|Rozwiązanie|Równanie|Sekcja|Rozdział|Załącznik|Dowód|"
    "Adnotacja|Wskazówka|Ostrzeżenie|Ważne|Zagrożenie|Załączniki|Spis treści|Kod|"
    "Abstrakt|Linia|Linie|Edytuj tę stronę|Zgłoś problem|Pokaż źródło",
    "cs": "Obrázek|Tabulka|Výpis|Teorém|Lemma|Důsledek|Tvrzení|Konjektura|Definice|Příklad|"
    "Cvičení|Poznámka|Řešení|Rovnice|Sekce|Kapitola|Příloha|Důkaz|Poznámka|Tip|Varování|"
    "Důležité|Upozornění|Přílohy|Obsah|Kód|Abstrakt|Řádek|Řádky|Upravit stránku|"
    "Nahlásit problém|Zobrazit zdrojový kód",
    "sl": "Slika|Tabela|Seznam|Izrek|Lema|Posledica|Predlog|Domneva|Definicija|Primer|Naloga|"
    "Opomba|Rešitev|Enakost|Odsek|Poglavje|Priloga|Dokaz|Opomba|Nasvet|Opozorilo|"
    "Pomembno|Pozor|Priloge|Kazalo vsebine|Koda|Povzetek|Vrstica|Vrstice|Uredi to stran|"
    "Poročaj o težavi|Ogled vira",
    "sv": "Figur|Tabell|Lista|Teorem|Lemma|Följdsats|Påstående|Förmodan|Definition|Exempel|"
    "Uppgift|Anmärkning|Lösning|Ekvation|Avsnitt|Kapitel|Bilaga|Bevis|Notera|Tips|Varning|"
    "Viktigt|Caution|Bilagor|Innehållsförteckning|Kod|Sammanfattning|Rad|Rader|"
    "Redigera denna sida|Rapportera ett problem|Visa källa",
    "nb": "Figur|Tabell|Liste|Setning|Hjelpesetning|Følgesetning|Erklæring|Formodning|Definisjon|"
    "Eksempel|Øvelse|Bemerkning|Løsning|Ligning|Seksjon|Kapitel|Bilag|Bevis|Note|Tips|Advarsel|"
    "Viktig|Forsiktig|Bilag|Innholdsfortegnelse|Kode|Sammendrag|Linje|Linjer|Endre denne siden|"
    "Meld om et problem|Vis kilde",
    "da": "Figur|Tabel|Liste|Sætning|Hjælpesætning|Følgesætning|Erklæring|Formodning|Definition|"
    "Eksempel|Øvelse|Bemærkning|Løsning|Ligning|Sektion|Kapitel|Bilag|Bevis|Note|Tip|Advarsel|"
    "Vigtigt|Forsigtig|Bilag|Indholdsfortegnelse|Kode|Resume|Linje|Linjer|Modificer denne side|"
    "Anmeld problem|Vis kilde",
    "fi": "Kuva|Taulukko|Listaus|Lause|Apulause|Korollaari|Väittämä|Konjektuuri|Määritelmä|"
    "Esimerkki|Harjoitus|Huomautus|Ratkaisu|Yhtälö|Alaluku|Luku|Liite|Todistus|Note|Tip|Warning|"
    "Important|Caution|Liitteet|Sisällysluettelo|Koodi|Tiivistelmä|Line|Lines|Muokkaa sivua|"
    "Ilmoita ongelmasta|Näytä lähdekoodi",
    "ca": "Figura|Taula|Llistat|Teorema|Lema|Corol·lari|Proposició|Conjectura|Definició|Exemple|"
    "Exercici|Observació|Solució|Equació|Secció|Capítol|Apèndix|Demostració|Note|Tip|Warning|"
    "Important|Caution|Apèndixs|Taula de continguts|Codi|Resum|Línia|Línies|"
    "Edita aquesta pàgina|Informa d'un problema|Mostra la font",
    "el": "Σχήμα|Πίνακας|Κατάλογος|Θεώρημα|Λήμμα|Πόρισμα|Πρόταση|Υπόθεση|Ορισμός|Παράδειγμα|"
    "Άσκηση|Παρατήρηση|Λύση|Εξίσωση|Ενότητα|Κεφάλαιο|Παράρτημα|Απόδειξη|Σημείωση|Συμβουλή|"
    "Προειδοποίηση|Σημαντικό|Προσοχή|Παραρτήματα|Πίνακας περιεχομένων|Κώδικας|Περίληψη|Γραμμή|"
    "Γραμμές|Επεξεργασία αυτής της σελίδας|Αναφορά προβλήματος|Προβολή πηγής",
    "hu": "Ábra|Táblázat|Kódlista|Tétel|Lemma|Következmény|Állítás|Feltevés|Definíció|Példa|"
    "Feladat|Megjegyzés|Megoldás|Egyenlet|Szakasz|Fejezet|Melléklet|Bizonyítás|Megjegyzés|Tipp|"
    "Figyelem|Fontos|Óvatosság|Mellékletek|Tartalomjegyzék|Kód|Absztrakt|Sor|Sorok|"
    "Oldal szerkesztése|Probléma jelentése|Forráskód megtekintése",
    "id": "Gambar|Tabel|Daftar|Teorema|Lema|Korolari|Proposisi|Dugaan|Definisi|Contoh|Latihan|"
    "Keterangan|Pemecahan|Perhitungan|Bagian|Bab|Lampiran|Bukti|Catatan|Tip|Peringatan|Penting|"
    "Bahaya|Lampiran|Daftar Isi|Kode|Abstrak|Baris|Baris|Sunting laman ini|Laporkan isu|"
    "Lihat sumber",
    "tr": "Figür|Tablo|Listeleme|Teorem|Yardımcı Teorem|Doğal Sonuç|Önerme|Varsayım|Tanım|"
    "Örnek|Egzersiz|Yorum|Çözüm|Denklem|Bölüm|Bölüm|Ek|Kanıt|Not|Tavsiye|Uyarı|Önemli|"
    "Dikkat|Ekler|İçindekiler|Kod|Özet|Satiri|Satırlar|Bu sayfayı düzenle|Sorun bildir|"
    "Kaynağı görüntüle",
    "ar": "شكل|جدول|مقتطف|مبرهنة|لمة|نتيجة|قضية|حدس|تعريف|مثال|تمرين|ملاحظة|حل|المعادلة|القسم|"
    "الفصل|الملحق|برهان|ملاحظة|نصيحة|تحذير|مهم|تنبيه|الملاحق|جدول المحتويات|الشفرة|"
    "الملخص|سطر|أسطر|حرر هذه الصفحة|الإبلاغ عن مشكلة|عرض المصدر",
    "ko": "그림|표|목록|정리|보조정리|따름정리|명제|추측|정의|보기|예제|주석|"
    "해답|방정식|섹션|장|부록|증명|노트|힌트|경고|중요|주의|부록|목차|"
    "코드|초록|"
    "선|윤곽|편집|이슈 보고|소스코드 보기",
    "zh": "图|表|列表|定理|引理|推论|命题|猜想|定义|例|习题|注记|解|式|小节|"
    "章节|附录|证|注记|提示|警告|重要|注意|附录|目录|代码|摘要|行|行|"
    "编辑该页面|反馈问题|查看代码",
    "zh-tw": "圖|表|列表|定理|引理|推論|命題|猜想|定義|例子|練習|小結|答案|方程式|節|"
    "章|附錄|證明|註釋|提示|警告|重要|注意|附錄|目錄|程式碼|摘要|行|行|"
    "編輯本頁面|回報問題|查看本頁原始碼",
    "ja": "図|表|コード|定理|補題|系|命題|予想|定義|例|練習|注釈|解答|式|"
    "セクション|チャプター|付録|証明|ノート|ヒント|警告|重要|注意|付録|"
    "目次|コード|"
    "概要|ライン|ライン|編集|問題を報告|ソースコード",
}
_WORDS = {**_WORDS, "pt-br": _WORDS["pt"].replace("Conjetura", "Conjectura")}
_LITERAL = {
    "ru": {
        "crossref-sec-prefix": "Глава",
        "crossref-lst-title": "Список",
        "crossref-alg-title": "Algorithm",
    }
}
"""Words of Quarto's that are not good enough for books made with pixgrad."""
_ALIASES = {"ua": "uk"}
"""What Quarto calls a language."""
_NAMES = {  # key above -> Quarto's names of the word
    "proof": ("environment-proof-title",),
    "rem": ("crossref-rem-title", "environment-remark-title"),
    "sol": ("crossref-sol-title", "environment-solution-title"),
    **{key: (f"crossref-{key}-prefix",) for key in ("eq", "sec", "ch", "apx")},
    **{
        key: (f"callout-{key}-title",) for key in ("note", "tip", "warning", "important", "caution")
    },
    "appendices": ("section-title-appendices",),
    "toc": ("toc-title-document",),
    "code": ("code-summary",),
    "abstract": ("section-title-abstract",),
    "line": ("code-line",),
    "lines": ("code-lines",),
    **{key: (f"repo-action-links-{key}",) for key in ("edit", "issue", "source")},
}
CALLOUTS = {"nte": "note", "tip": "tip", "wrn": "warning", "imp": "important", "cau": "caution"}
"""Kind of a label -> the callout that carries it."""

_INTERFACE = {
    "К тексту": "Skip to the text", "Содержание книги": "Contents of the book",
    "Показать код": "Show code", "Скрыть код": "Hide code",
    "Исходный код книги": "Source of the book",
    "Светлая тема": "Light theme", "Тёмная тема": "Dark theme",
    "Эта страница в другом виде": "This page in other forms", " страницы\"": "\"",
    "Соседние главы": "Neighbouring chapters", ">шрифты<": ">fonts<",
    "Поиск по книге": "Search the book", "Слово или выражение": "A word or a phrase",
    "Что искать": "What to look for", "Закрыть": "Close", "Найденные места": "Places found",
    "Рисунок крупно": "The figure at large",
    "Рисунок; прокручивается, когда увеличен": "The figure; it scrolls when enlarged",
    "Крупнее": "Larger", "Перейти →": "Go →",
    "Увеличить: ": "Enlarge: ", "\"рисунок\"": "\"figure\"", "Готовим поиск…": "Preparing search…",
    "Введите слово: словоформы найдутся сами.": "Type a word.",
    "Поиск работает, когда сайт открыт через сервер: python3 -m http.server в папке _book.":
    "Search works when the site comes from a server: python3 -m http.server in _book.",
    "Найдено мест: ": "Places found: ", "Ничего не найдено.": "Nothing was found.",
    " Может быть, ": " Perhaps ", "Копировать": "Copy", "Скопировано": "Copied",
    "Ссылка на раздел «${heading.textContent.trim()}»": "Link to ${heading.textContent.trim()}",
    "Поиск": "Search", "Блокнот": "Notebook", "Исходник": "Source",
    "Такой страницы нет": "There is no such page",
    "Может быть, она переименована: посмотрите в содержании или найдите её поиском.":
    "Perhaps it has another name now: look in the contents or search.",
}  # fmt: skip


def lang(project: Project, chapter: Chapter | None = None) -> str:
    """The language of the book, or that of a chapter; English by default, as in Quarto."""
    if chapter is not None:
        return str(project.metadata(chapter.path, chapter.document).get("lang") or "en")
    return str(project.get("lang") or "en")


def language(project: Project, key: str, chapter: Chapter | None = None) -> str:
    """A word of the page: the book's own (``language:``, ``_language.yml``), else Quarto's."""
    asked = lang(project, chapter)
    given = _own(project, asked).get(key)
    return str(given) if given is not None else _table(asked)[key]


def own(project: Project, key: str, chapter: Chapter | None = None) -> str | None:
    """A word only if the book gives it itself, or if Quarto has it under just this name."""
    asked = lang(project, chapter)
    given = _own(project, asked).get(key, _table(asked).get(key))
    return None if given is None else str(given)


def titles(project: Project, chapter: Chapter | None = None) -> dict[str, str]:
    """«Рисунок», «Теорема», … by kind, and the words of callouts and proofs."""
    own_words = _own(project, lang(project, chapter))
    words = {key: language(project, key, chapter) for key in _table("en") if key.endswith("-title")}
    found = {
        key.removeprefix("crossref-").removeprefix("environment-").removesuffix("-title"): word
        for key, word in words.items()
    }
    references = found if project.is_strict else _table("en")  # as in Quarto, whatever the language
    for kind, name in CALLOUTS.items():
        word = references.get(f"callout-{name}", references.get(f"callout-{name}-title"))
        found[kind] = own_words.get(f"crossref-{kind}-prefix", word)
        own_title = own_words.get(f"crossref-{kind}-title", found[f"callout-{name}"])
        found[f"caption-{kind}"] = own_title
    found |= {kind: own.caption for kind, own in floats(project).items()}
    lines = ("code-line", "code-lines")
    return found | {key: language(project, key, chapter) for key in lines}


@dataclass(frozen=True)
class Float:
    """A kind of figures of the book's own (``crossref: custom``)."""

    caption: str
    """The word before the number in a caption."""
    reference: str
    """The same in a reference."""
    place: str
    """Where the caption stands: top or bottom."""


def floats(project: Project) -> dict[str, Float]:
    """The kinds of figures that the book has made itself, by the beginning of their labels."""
    found = {}
    listed = _crossref(project).get("custom") or []
    for one in listed if isinstance(listed, list) else [listed]:
        if isinstance(one, Mapping) and one.get("key") and one.get("kind", "float") == "float":
            word = str(one.get("reference-prefix", one["key"]))
            place = "top" if one.get("caption-location") == "top" else "bottom"
            found[str(one["key"])] = Float(str(one.get("caption-prefix", word)), word, place)
    return found


def delimiter(project: Project) -> str:
    """What stands between the number and the text of a caption (``crossref: title-delim``)."""
    given = _crossref(project).get("title-delim")
    return ":" if given is None else str(given).strip()


def _crossref(project: Project) -> dict[str, Any]:
    """What the book says of references; what stands below the format wins."""
    given = (project.get("crossref"), project.get("format", "html", "crossref"))
    return {key: value for one in given if isinstance(one, Mapping) for key, value in one.items()}


def interface(text: str, asked: str) -> str:
    """A template or a script with its Russian words in English, unless the book is Russian."""
    if asked.split("-")[0] == "ru":
        return text
    for russian, english in _INTERFACE.items():
        text = text.replace(russian, english)
    return text


@cache
def _table(asked: str) -> dict[str, str]:
    whole = asked.lower().replace("_", "-")
    name = whole if whole in _WORDS else whole.split("-")[0]
    words = _WORDS.get(_ALIASES.get(name, name), _WORDS["en"]).split("|")
    table = {"crossref-alg-title": "Алгоритм" if name == "ru" else "Algorithm"}  # Quarto: English
    for key, word in zip(_KEYS, words, strict=True):
        for name in _NAMES.get(key, (f"crossref-{key}-title",)):
            table[name] = word
    return table


def _own(project: Project, asked: str) -> Mapping[str, Any]:
    """What the book says itself; the part for the language wins, a file named wins over ours."""
    found: dict[str, Any] = {} if project.is_strict else dict(_LITERAL.get(asked[:2], {}))
    found |= {f"crossref-{key}-prefix": own.reference for key, own in floats(project).items()}
    path = project.root / "_language.yml"
    if path.is_file():
        found |= metadata.load_yaml(path.read_text("utf-8"), path.name)[0]
    given = project.get("language")
    if isinstance(given, str):
        file = project.root / given
        if not file.is_file():
            raise project.error(f"файла {given} нет (language)", "language")
        given = metadata.load_yaml(file.read_text("utf-8"), given)[0]
    found = metadata.merged(found, given or {})
    crossref = _crossref(project)  # older books: crossref: fig-title
    found = {f"crossref-{key}": word for key, word in crossref.items() if _is_word(key)} | found
    parts = [found.get(name) for name in (asked.split("-")[0], asked)]
    for part in parts:
        if isinstance(part, Mapping):
            found = {**found, **part}
    return found


def _is_word(key: str) -> bool:
    return bool(re.fullmatch(r"[a-z]+-(title|prefix)", key))
