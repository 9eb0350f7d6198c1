"""Excel: sheets of .xlsx workbooks as tables, in and out."""
