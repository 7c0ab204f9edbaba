"""What the embedded engine does with each option of Quarto: the one table.

A key is OBEYED (or does not touch what the engine makes), LISTED once as not applied because it
only changes looks or makes another format, or REFUSED because it changes the content. Keys that
Quarto does not have are listed, too: they have no effect but for ``{{< meta key >}}``.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

OBEYED, LISTED, REFUSED, UNKNOWN = "obeyed", "listed", "refused", "unknown"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _names(
    "html-math-method canonical-url lang toc toc-depth toc-title number-sections number-depth "
    "code-fold code-summary "
    "fig-width fig-height fig-dpi fig-format bibliography csl link-citations css "
    "include-in-header include-before-body include-after-body code-line-numbers code-overflow "
    "code-copy highlight-style smooth-scroll theme keep-md keep-ipynb keep-tex self-contained "
    "embed-resources standalone freeze cache eval echo output warning error include "
    "nocite dir output-file date-format default-image-extension suppress-bibliography "
    "crossrefs-hover citations-hover footnotes-hover"
)
"""Obeyed at the top of ``_quarto.yml``, below ``format: html:`` and in a chapter."""

_CHAPTER = _names(
    "title subtitle author authors date date-modified description abstract abstract-title "
    "keywords categories title-block-banner order image image-alt engine jupyter execute "
    "params aliases published-title affiliation affiliations citation tags slug draft"
)

_LOOKS = _names(
    "title-block-banner anchor-sections axe backgroundcolor body-classes body-footer body-header "
    "brand callout-appearance callout-icon cap-location card-footer "
    "citation-hover classoption code-annotations code-block-bg code-block-border-left "
    "code-block-border-width code-link code-tools comments copy-code date-modified-title "
    "df-print doc-class document-css email-obfuscation extract-media fig-align fig-asp "
    "fig-cap-location fig-env fig-pos fig-responsive fontcolor fontenc fontfamily fontsize "
    "footnotes-location format-links geometry grid header-includes hypothesis "
    "html-table-processing hyperrefoptions identifier-prefix ipynb-shell-interactivity "
    "linestretch link-external-filter link-external-icon link-external-newwindow linkcolor "
    "linkstyle mainfont mainfontoptions margin margin-bottom margin-left margin-right "
    "margin-top mathfont max-width mermaid minimal mono monobackgroundcolor monofont "
    "notebook-links notebook-preview-options notebook-view other-links page-layout pagetitle "
    "papersize pdf-engine plotly-connected position quarto-required reference-location "
    "respect-user-color-scheme sansfont search section-divs section-numbering shortcodes "
    "tab-stop tbl-cap-location tbl-colwidths template-partials thanks title-block-categories "
    "title-block-style title-prefix toc-expand toc-indent toc-location toccolor validate-yaml "
    "version whitespace wrap zotero citation-location citation-package citecolor filecolor "
    "urlcolor colorlinks lof lot twitter-card open-graph google-analytics cookie-consent "
    "announcement documentclass columns numbersections fold code-background html-q-tags "
    "merge-includes fig-column tbl-column ojs-engine server mathjax gladtex webtex attribution "
    "ascii eol incremental strip-comments fail-if-warnings dpi data-dir log verbose trace "
    "cite-method biblio-style biblatexoptions natbiboptions biblio-title biblio-config "
    "bibliographystyle include-code-files project-title keep-hidden remove-hidden "
    "clear-hidden-classes clear-cell-options keep-source keep-yaml use-rsvg-convert subject "
    "lightbox lightbox-options resource-path resources pdf-standard"
)
"""Without effect in the embedded engine; they only change looks."""

_CONTENT = _names(
    "filters filter citeproc from shift-heading-level-by number-offset template "
    "metadata-file file-scope include-files indented-code-classes "
    "abbreviations top-level-division standalone-filters reader"
)
"""They change what the book says: refused."""

_KINDS = _names(
    "fig tbl lst eq sec ch apx thm lem cor prp cnj def exm exr rem sol alg nte tip wrn imp cau"
)
_CROSSREF = {
    OBEYED: frozenset(f"{kind}-{word}" for kind in _KINDS for word in ("title", "prefix"))
    | {"chapters", "custom", "title-delim"},
    LISTED: _names("ref-hyperlink lof-title lot-title lol-title maximum-reference-depth"),
    REFUSED: frozenset(f"{kind}-labels" for kind in _KINDS)
    | _names("labels subref-labels appendix-title appendix-delim"),
}

_FORMATS = {
    "pdf": "PDF набирает Typst: ключи LaTeX не действуют",
    "latex": "PDF набирает Typst: ключи LaTeX не действуют",
}

_OTHER_FORMATS = _names(
    "pdf epub docx odt rtf latex beamer revealjs pptx gfm commonmark hugo jats asciidoc "
    "asciidoctor docbook markdown confluence context dashboard fb2 icml man mediawiki ms muse "
    "opml org plain rst s5 slideous slidy tei texinfo textile xwiki zimwiki html4 html5 native "
    "markua bibtex biblatex csljson haddock jira ipynb dokuwiki djot"
)

_TABLE: Mapping[str, Mapping[str, frozenset[str]]] = {
    "": {
        OBEYED: _COMMON
        | _names(
            "project book format language title author subtitle editor editor_options execute "
            "jupyter pixgrad profile knitr metadata-files website keywords params crossref filters"
        ),
        LISTED: _LOOKS | _names("site-url description date abstract"),
        REFUSED: _CONTENT - {"filters"},
    },
    "project": {
        OBEYED: _names(
            "type output-dir execute-dir pre-render post-render resources title render lib-dir "
            "preview"
        ),
        LISTED: _names("detect plugins brand"),
    },
    "book": {
        OBEYED: _names(
            "title subtitle author date description chapters appendices repo-url "
            "repo-branch repo-subdir site-url output-file search favicon cover-image "
            "page-footer downloads open-graph repo-actions issue-url date-format"
        ),
        LISTED: _names(
            "abstract cover-image-alt page-navigation twitter-card sidebar navbar "
            "repo-link-target repo-link-rel sharing tools reader-mode google-analytics "
            "cookie-consent cookie-policy comments body-header body-footer margin-header "
            "margin-footer back-to-top-navigation bread-crumbs draft-mode drafts announcement "
            "other-links code-links image image-alt doi isbn issn publisher edition "
            "license rights copyright type-of-work number-of-pages volume series "
            "collection-title title-prefix citation-key language translator editor contributor "
            "funding site-path favicon-dark logo references"
        ),
        REFUSED: frozenset(),
    },
    "format.html": {OBEYED: _COMMON | {"crossref", "execute"}, LISTED: _LOOKS, REFUSED: _CONTENT},
    "format.typst": {
        OBEYED: _names(
            "toc toc-depth include echo output warning fig-width fig-height fig-dpi fig-format "
            "number-sections number-depth keep-typ output-file bibliography lang"
        ),
        LISTED: _LOOKS
        | _COMMON
        | _names(
            "section-numbering toc-indent font-paths bibliographystyle page-numbering "
            "title-page logo keep-typ"
        ),
        REFUSED: _CONTENT | _names("template include-in-header"),
    },
    "chapter": {
        OBEYED: _COMMON | _CHAPTER | {"format", "crossref"},
        LISTED: _LOOKS,
        REFUSED: _CONTENT,
    },
}
_EXECUTE = {
    OBEYED: _names(
        "eval echo output warning error include freeze cache enabled daemon daemon-restart debug "
        "keep-md keep-ipynb ipynb-shell-interactivity plotly-connected"
    ),
    LISTED: _names("message python"),
}
_TABLE = {
    **_TABLE,
    "execute": _EXECUTE,
    "crossref": _CROSSREF,
    "format.html.crossref": _CROSSREF,
    "format.html.execute": _EXECUTE,
    "chapter.crossref": _CROSSREF,
    "chapter.execute": _EXECUTE,
    "format": {OBEYED: frozenset({"html", "typst"}), LISTED: _OTHER_FORMATS},
    "chapter.format": {OBEYED: frozenset({"html", "typst"}), LISTED: _OTHER_FORMATS},
    "chapter.format.html": _TABLE["format.html"],
    "chapter.format.typst": _TABLE["format.typst"],
}


def verdict(path: tuple, scope: str = "") -> str:
    """What is done with the key at ``path`` (names, and numbers of list items).

    Parameters
    ----------
    scope : "" for ``_quarto.yml``, "chapter" for a front matter or ``_metadata.yml``.
    """
    for name in path[:-1]:
        scope = f"{scope}.{name}".strip(".")
        if scope not in _TABLE:
            return OBEYED  # the key above has its verdict, with all below it
    table = _TABLE[scope]
    if isinstance(path[-1], int):
        return OBEYED
    order = (REFUSED, OBEYED, LISTED)
    return next((found for found in order if path[-1] in table.get(found, ())), UNKNOWN)


def message(path: tuple, found: str) -> str:
    """One Russian line on a key that is not obeyed."""
    shown = ": ".join(map(str, path))
    if found == LISTED and len(path) > 1 and path[-2] == "format":
        more = _FORMATS.get(str(path[-1]), "движок pandoc делает сайт, PDF (typst) и блокноты")
        return f"формат «{path[-1]}» не собирается: {more}"
    if found == LISTED:
        return f"параметр «{shown}» движок pandoc не применяет (меняет только вид)"
    if found == REFUSED:
        return f"параметр «{shown}» движок pandoc не поддерживает"
    like = get_close_matches(str(path[-1]), _all_names(), 1, 0.75)
    hint = f"; похоже на «{like[0]}»" if like else ""
    return f"параметра «{shown}» в Quarto нет, он ни на что не влияет{hint}"


def _all_names() -> Iterator[str]:
    for table in _TABLE.values():
        for names in table.values():
            yield from sorted(names)
