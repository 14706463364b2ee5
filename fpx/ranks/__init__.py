"""Several processes, as a launcher such as torchrun starts them, that do one command together."""
