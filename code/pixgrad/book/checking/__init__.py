"""``pixgrad check``: the linter that Quarto lacks."""
