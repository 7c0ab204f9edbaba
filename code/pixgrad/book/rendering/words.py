"""The words of a page in the language of the book, as Quarto has them."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from pixgrad.book.source import metadata
from pixgrad.book.source.project import Chapter, Project

_KEYS = (
    "fig", "tbl", "lst", "thm", "lem", "cor", "prp", "cnj", "def", "exm", "exr", "rem", "sol",
    "eq", "sec", "ch", "apx", "proof", "note", "tip", "warning", "important", "caution",
    "appendices", "toc", "code", "abstract",
)  # fmt: skip
_WORDS: Mapping[str, str] = {  # by language: the words of the keys in their order
    "en": "Figure|Table|Listing|Theorem|Lemma|Corollary|Proposition|Conjecture|Definition|Example|"
    "Exercise|Remark|Solution|Equation|Section|Chapter|Appendix|Proof|Note|Tip|Warning|Important|"
    "Caution|Appendices|Table of contents|Code|Abstract",
    "ru": "Рисунок|Таблица|Листинг|Теорема|Лемма|Следствие|Утверждение|Гипотеза|Определение|Пример|"
    "Упражнение|Примечание|Решение|Уравнение|Раздел|Глава|Приложение|Доказательство|Уведомление|"
    "Совет|Предупреждение|Важное уведомление|Осторожность|Приложения|Содержание|Код|Аннотация",
    "uk": "Рисунок|Таблиця|Лістинг|Теорема|Лема|Наслідок|Твердження|Гіпотеза|Визначення|Приклад|"
    "Вправа|Зауваження|Розв'язок|Рівняння|Розділ|Глава|Додаток|Доведення|Примітка|Порада|"
    "Попередження|Важливо|Обережно|Додатки|Зміст|Код|Анотація",
    "de": "Abbildung|Tabelle|Listing|Theorem|Lemma|Korollar|Aussage|Vermutung|Definition|Beispiel|"
    "Übungsaufgabe|Bemerkung|Lösung|Gleichung|Kapitel|Kapitel|Anhang|Beweis|Hinweis|Tipp|Warnung|"
    "Wichtig|Vorsicht|Anhang|Inhaltsverzeichnis|Code|Zusammenfassung",
    "fr": "Figure|Table|Listing|Théorème|Lemme|Corollaire|Proposition|Conjecture|Définition|"
    "Exemple|Exercice|Remarque|Solution|Équation|Section|Chapitre|Annexe|Preuve|Note|Astuce|"
    "Avertissement|Important|Mise en garde|Annexes|Table des matières|Code|Résumé",
    "es": "Figura|Tabla|Listado|Teorema|Lema|Corolario|Proposición|Conjetura|Definición|Ejemplo|"
    "Ejercicio|Observación|Solución|Ecuación|Sección|Capítulo|Apéndice|Prueba|Nota|Tip|"
    "Advertencia|Importante|Precaución|Apéndices|Tabla de contenidos|Código|Resumen",
    "it": "Figura|Tabella|Elenco|Teorema|Lemma|Corollario|Proposizione|Congettura|Definizione|"
    "Esempio|Esercizio|Osservazione|Soluzione|Equazione|Sezione|Capitolo|Appendice|Dimostrazione|"
    "Nota|Consiglio|Avviso|Importante|Attenzione|Appendici|Indice|Codice|Sommario",
    "pt": "Figura|Tabela|Listagem|Teorema|Lema|Corolário|Proposição|Conjectura|Definição|Exemplo|"
    "Exercício|Observação|Solução|Equação|Seção|Capítulo|Apêndice|Comprovação|Nota|Dica|Aviso|"
    "Importante|Cuidado|Apêndices|Índice|Código|Resumo",
    "sl": "Slika|Tabela|Izpis|Izrek|Lema|Posledica|Trditev|Domneva|Definicija|Primer|Vaja|Opomba|"
    "Rešitev|Enačba|Poglavje|Poglavje|Priloga|Dokaz|Opomba|Nasvet|Opozorilo|Pomembno|Pozor|"
    "Priloge|Kazalo|Koda|Povzetek",
    "ko": "그림|표|목록|정리|보조정리|따름정리|명제|추측|정의|예제|연습문제|비고|해답|"
    "식|섹션|장|부록|증명|노트|힌트|경고|중요|주의|부록|목차|코드|초록",
    "zh": "图|表|列表|定理|引理|推论|命题|猜想|定义|示例|习题|备注|解答|式|小节|章节|附录|证明|"
    "注记|提示|警告|重要|小心|附录|目录|代码|摘要",
    "ja": "図|表|リスト|定理|補題|系|命題|予想|定義|例|演習|注釈|解答|式|セクション|章|付録|証明|"
    "注記|ヒント|警告|重要|注意|付録|目次|コード|要約",
}
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
    words = {key: language(project, key, chapter) for key in _table("en") if key.endswith("-title")}
    found = {
        key.removeprefix("crossref-").removeprefix("environment-").removesuffix("-title"): word
        for key, word in words.items()
    }
    found |= {kind: found[f"callout-{name}"] for kind, name in CALLOUTS.items()}
    is_russian = lang(project, chapter).split("-")[0] == "ru"
    lines = ("Строка", "Строки") if is_russian else ("Line", "Lines")
    return found | dict(zip(("code-line", "code-lines"), lines, strict=True))


def interface(text: str, asked: str) -> str:
    """A template or a script with its Russian words in English, unless the book is Russian."""
    if asked.split("-")[0] == "ru":
        return text
    for russian, english in _INTERFACE.items():
        text = text.replace(russian, english)
    return text


@cache
def _table(asked: str) -> dict[str, str]:
    words = _WORDS.get(asked.lower().split("-")[0].split("_")[0], _WORDS["en"]).split("|")
    table = {}
    for key, word in zip(_KEYS, words, strict=True):
        for name in _NAMES.get(key, (f"crossref-{key}-title",)):
            table[name] = word
    return table


def _own(project: Project, asked: str) -> Mapping[str, Any]:
    """What the book says itself; the part for the language wins, a file named wins over ours."""
    found: dict[str, Any] = {}
    path = project.root / "_language.yml"
    if path.is_file():
        found = metadata.load_yaml(path.read_text("utf-8"), path.name)[0]
    given = project.get("language")
    if isinstance(given, str):
        file = project.root / given
        if not file.is_file():
            raise project.error(f"файла {given} нет (language)", "language")
        given = metadata.load_yaml(file.read_text("utf-8"), given)[0]
    found = metadata.merged(found, given or {})
    crossref = project.get("crossref")
    if isinstance(crossref, Mapping):  # older books: crossref: fig-title
        words = {f"crossref-{key}": word for key, word in crossref.items() if _is_word(key)}
        found = {**words, **found}
    parts = [found.get(name) for name in (asked.split("-")[0], asked)]
    for part in parts:
        if isinstance(part, Mapping):
            found = {**found, **part}
    return found


def _is_word(key: str) -> bool:
    return bool(re.fullmatch(r"[a-z]+-(title|prefix)", key))
