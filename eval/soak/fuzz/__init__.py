"""Fuzzing of all readers: whole files are changed where their structure is, and read.

A reader may refuse with one of cascade's own errors. Any other exception, an endless loop, or
memory out of proportion is a fault. An input is a seed's name and some integers, each a change; the
same ones make the same file again.
"""
