"""Taxonomies as JSON and YAML: nested nodes, and flat lists of nodes that name their parents.

What one publisher's JSON alone has, belongs to the module of that format.
"""
