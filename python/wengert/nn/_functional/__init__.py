"""The functional forms, grouped by what they do; `wengert.nn.functional` gathers them."""
