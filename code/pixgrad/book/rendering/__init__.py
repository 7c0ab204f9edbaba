"""``pixgrad render`` and ``pixgrad notebooks``: the site, the PDF and the notebooks by pandoc."""
