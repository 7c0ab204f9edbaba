"""From pixel to gradient: SIFT, backpropagation and networks, and the book about them."""
