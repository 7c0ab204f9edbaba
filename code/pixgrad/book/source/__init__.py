"""The Quarto project: configuration, chapters, options of cells, executed markdown."""
