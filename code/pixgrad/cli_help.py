"""What ``pixgrad COMMAND --help`` says: in Russian, with ``PIXGRAD_LANG=en`` in English."""

from typing import Any

import typer

from pixgrad.errors import say

COMMANDS = {
    "freeze": (
        "Исполнить изменившиеся главы и записать _freeze.",
        "Execute the chapters that have changed and write _freeze.",
        ("pixgrad freeze", "исполнить то, что устарело", "execute what is behind"),
        (
            "pixgrad freeze --check",
            "только сказать, что устарело и из-за чего",
            "only say what is behind and why",
        ),
        (
            "pixgrad freeze --accept-versions",
            "оставить сделанное другими версиями пакетов",
            "keep what other versions of packages made",
        ),
    ),
    "render": (
        "Собрать сайт, PDF и блокноты из _freeze в _book; отчёты — страницами для GitHub.",
        "Build the site, the PDF and the notebooks from _freeze into _book; reports for GitHub.",
        ("pixgrad render", "сайт и PDF", "the site and the PDF"),
        ("pixgrad render --to html,ipynb", "сайт и блокноты", "the site and the notebooks"),
        (
            "pixgrad render --dry-run",
            "только сказать, что будет собрано и почему",
            "only say what would be built and why",
        ),
        (
            "pixgrad render reports/lab1/README.qmd --to gfm",
            "отчёт страницей для GitHub",
            "a report as a page for GitHub",
        ),
    ),
    "preview": (
        "Показать сайт на этой машине и обновлять его при каждой правке, до Ctrl+C.",
        "Show the site on this machine and follow each edit, until Ctrl+C.",
        ("pixgrad preview", "адрес — в первой строке", "the address is in the first line"),
        (
            "pixgrad preview --project ../my-book --port 8000",
            "чужая книга на своём порту",
            "another book on a port of your choice",
        ),
    ),
    "init": (
        "Научить чужую книгу Quarto исполняться через pixgrad: шаг pre-render, файлы для git.",
        "Let pixgrad execute a Quarto book of others': the pre-render step, files for git.",
        ("pixgrad init ../my-book --dry-run", "показать правки", "show the edits"),
        ("pixgrad init ../my-book", "внести их", "make them"),
        (
            "pixgrad init ../my-book --remove",
            "вернуть всё до байта",
            "take everything back to the byte",
        ),
    ),
    "notebooks": (
        "Записать главы как блокноты Colab в notebooks/.",
        "Write the chapters as Colab notebooks into notebooks/.",
        ("pixgrad notebooks", "из того, что лежит в _freeze", "from what _freeze holds"),
    ),
    "check": (
        "Найти в книге то, о чём Quarto молчит.",
        "Find in the book what Quarto is silent about.",
        (
            "pixgrad check",
            "находки по строке, код 1, если они есть",
            "a finding a line, code 1 if there are any",
        ),
        ("pixgrad check --project ../my-book", "в чужой книге", "in another book"),
    ),
    "cover": (
        "Нарисовать обложку книги.",
        "Draw the cover of the book.",
        ("pixgrad cover --to assets/cover.jpg",),
    ),
    "pictures": (
        "Обновить картинки и измеренные числа в README: из results/ и собранной книги.",
        "Redraw pictures and measured numbers of the README: from results/ and the built book.",
        ("pixgrad render && pixgrad pictures",),
    ),
    "doctor": (
        "Сказать, что установлено и что с этим можно сделать.",
        "Say what is installed and what that allows.",
        (
            "pixgrad doctor",
            "чего нет, чего это стоит и как поставить",
            "what is absent, what that costs, how to get it",
        ),
    ),
    "fetch": (
        "Скачать полный набор данных в папку данных (через torchvision).",
        "Download a full data set into the data folder (by torchvision).",
        ("pixgrad fetch mnist", "60 000 цифр", "60,000 digits"),
    ),
    "run": (
        "Провести опыт: обучить, измерить, записать результаты.",
        "Run an experiment: train, measure, write the results.",
        (
            "pixgrad run cnn_vs_resnet --preset smoke",
            "весь путь за минуты, в runs/",
            "the whole way in minutes, into runs/",
        ),
        (
            "pixgrad run depth --seeds 5 --jobs 2",
            "пять зёрен, два прогона сразу",
            "five seeds, two runs at a time",
        ),
        (
            "pixgrad run depth --dry-run",
            "сколько прогонов и на каких данных",
            "how many runs and on which data",
        ),
        (
            "pixgrad run all",
            "все опыты; прерванное продолжается",
            "all experiments; what was broken off goes on",
        ),
    ),
    "status": (
        "Сказать, какие результаты получены другим кодом или на других данных.",
        "Say which results were made by other code or on other data.",
        ("pixgrad status",),
    ),
    "verify": (
        "Повторить первые шаги прогонов и сравнить потери с записью бит в бит.",
        "Replay the first steps of runs and compare the losses with the record, bit for bit.",
        ("pixgrad verify depth", "двенадцать прогонов записи", "twelve runs of the record"),
        ("pixgrad verify depth --runs 0", "все", "all of them"),
    ),
    "reproduce": (
        "Исполнить все главы заново в стороне и сравнить с тем, что лежит в _freeze.",
        "Execute all chapters anew in a copy and compare with what _freeze holds.",
        ("pixgrad reproduce", "по строке на главу", "a line a chapter"),
        (
            "pixgrad reproduce --experiments 3 --tolerance 1e-6",
            "и первые шаги трёх прогонов каждой записи",
            "and the first steps of three runs of each record",
        ),
    ),
}
"""Name -> (what it does, the same in English, examples: what to type, what for, in English)."""


def of_command(name: str) -> str:
    """The help of a command, its examples below."""
    russian, english, *examples = COMMANDS[name]
    shown = [say("Примеры:", "Examples:")]
    for typed, *purpose in examples:
        shown += [f"  {typed}", *([f"      {say(*purpose)}"] if purpose else [])]
    return "\n".join([say(russian, english), "", "\b", *shown])


def option(russian: str, english: str, *names: str, **limits: Any) -> Any:
    """An option with its help."""
    return typer.Option(*names, help=say(russian, english), **limits)


def argument(russian: str, english: str) -> Any:
    """An argument with its help."""
    return typer.Argument(help=say(russian, english))
