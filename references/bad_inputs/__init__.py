"""Bad and odd inputs, made on the spot, and what a scan and the readers of labels do with each of them."""
