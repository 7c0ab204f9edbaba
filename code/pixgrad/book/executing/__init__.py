"""``pixgrad freeze``: run the cells of chapters and write Quarto's ``_freeze``."""
