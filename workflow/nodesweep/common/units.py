"""Factors between units."""

MIB = 2**20
"""Bytes of a MiB."""
GIB = 2**30
"""Bytes of a GiB."""
TERA = 1e12
"""Operations of a TFLOP."""
