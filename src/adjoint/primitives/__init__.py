"""Primitives: one block each, by theme."""
