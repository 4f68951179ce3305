"""Fuzzing of everything that parses foreign bytes: pictures, label files, cards."""
