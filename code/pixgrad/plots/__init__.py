"""How the book looks: figure style, numbers and tables in Russian, pictures of SIFT."""
