"""Tests of the HTTP surface, against the real application and a real database."""
