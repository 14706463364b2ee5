"""Numbers in bulk: tensors that are read in blocks, from files, distributions and memory."""
