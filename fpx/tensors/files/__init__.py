"""Tensor files as streams of blocks, in memory that does not grow with the file.

Files are hostile until read: no pickle code runs, no link leads out of a file, headers are checked
(by the library that owns the format, where there is one), and data is read into bounded buffers or
mapped, and the pages given back. One module per kind; `kinds` tells them apart by content.
"""
