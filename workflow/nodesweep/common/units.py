"""Factors between units."""

GIB = 2**30


MIB = 2**20


TERA = 1e12
