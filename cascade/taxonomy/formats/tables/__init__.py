"""Taxonomies as tables of rows and columns.

The words of headings and the forms that tables have belong here; tables of items are in
`cascade.io.tables`.
"""
